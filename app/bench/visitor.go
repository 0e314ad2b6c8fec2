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
	if _, err := v.post(ctx, "/session", form, http.StatusSeeOther); err != nil {
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

func (v *visitor) post(ctx context.Context, path string, form url.Values, want int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	body, _, err := v.do(req, want)
	return body, err
}

// say posts a message to the room and returns the room's number after it.
func (v *visitor) say(ctx context.Context, text string) (rev int64, err error) {
	answer, err := v.post(ctx, messagesPath, url.Values{"body": {text}, "nonce": {uuid.NewString()}}, http.StatusCreated)
	if err != nil {
		return 0, err
	}
	var said struct{ Seq, Rev int64 }
	if err := json.Unmarshal(answer, &said); err != nil || said.Seq < 1 {
		return 0, fmt.Errorf("a post was not acknowledged: %.300s", answer)
	}
	return said.Rev, nil
}
