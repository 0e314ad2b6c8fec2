package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// Addresses of the room that is measured, the same at both servers.
const (
	roomPath     = "/rooms/parlor"
	messagesPath = roomPath + "/messages"
	streamPath   = roomPath + "/stream"
)

// visitor is a program that visits a server, with its own cookies and
// keep-alive connections.
type visitor struct {
	client *http.Client
	base   string
}

// stranger is a visitor without a nickname.
func (s subject) stranger(connections int) *visitor {
	jar, _ := cookiejar.New(nil) // without options there is nothing to fail
	return &visitor{base: s.base, client: &http.Client{
		Jar:           jar,
		Transport:     &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// guest is a visitor with a nickname.
func (s subject) guest(ctx context.Context, connections int) (*visitor, error) {
	v := s.stranger(connections)
	form := url.Values{"nickname": {"bench " + rand.Text()[:12]}}
	if _, _, err := v.post(ctx, "/session", form, http.StatusSeeOther); err != nil {
		return nil, err
	}
	return v, nil
}

// guests are several, each with a connection.
func (s subject) guests(ctx context.Context, n int) ([]*visitor, error) {
	all := make([]*visitor, n)
	for i := range all {
		var err error
		if all[i], err = s.guest(ctx, 1); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// do sends a request and wants the answer to have the given status; 0: any
// below 400.
func (v *visitor) do(req *http.Request, want int) (body []byte, header http.Header, err error) {
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != want && (want != 0 || resp.StatusCode >= 400) {
		return nil, nil, fmt.Errorf("%s %s: %s: %.300s", req.Method, req.URL.Path, resp.Status, body)
	}
	return body, resp.Header, nil
}

func (v *visitor) post(ctx context.Context, path string, form url.Values, want int) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	return v.do(req, want)
}

// say posts a message to the room and returns the room's number after it.
func (v *visitor) say(ctx context.Context, text string) (rev int64, err error) {
	return v.sayIn(ctx, roomPath, text)
}

func (v *visitor) sayIn(ctx context.Context, room, text string) (rev int64, err error) {
	answer, _, err := v.post(ctx, room+"/messages", url.Values{"body": {text}, "nonce": {uuid.NewString()}}, http.StatusCreated)
	if err != nil {
		return 0, err
	}
	var said struct{ Seq, Rev int64 }
	if err := json.Unmarshal(answer, &said); err != nil || said.Seq < 1 {
		return 0, fmt.Errorf("a post was not acknowledged: %.300s", answer)
	}
	return said.Rev, nil
}

// makeRoom makes a room and returns its path.
func (v *visitor) makeRoom(ctx context.Context, name string) (path string, err error) {
	_, header, err := v.post(ctx, "/rooms", url.Values{"name": {name}, "topic": {"What belongs here"}}, http.StatusSeeOther)
	return header.Get("Location"), err
}

// cookies are what its streams need to be the visitor's.
func (v *visitor) cookies() string {
	u, err := url.Parse(v.base)
	if err != nil {
		return ""
	}
	var all []string
	for _, c := range v.client.Jar.Cookies(u) {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "; ")
}

// get reads something whole.
func (v *visitor) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Accept-Encoding", "gzip")
	body, header, err := v.do(req, http.StatusOK)
	if err == nil && header.Get("Content-Encoding") != "gzip" {
		err = fmt.Errorf("%s is not compressed: %.100s", path, body)
	}
	return body, err
}
