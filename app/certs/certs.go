// Package certs gives the server its certificate for TLS: from files that
// somebody else renews, by ACME from Let's Encrypt or another authority, or
// made here for trying out.
//
// It is not a way to check the certificates of others. Its one invariant: a
// server that once had a certificate always has one. Files that can't be read
// after a change, or an authority that does not answer, leave the one before
// in use, and the log says so.
package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Config says where the certificate comes from: from one place at most.
type Config struct {
	CertFile, KeyFile string // PEM; read again when they change

	Hosts     []string // names to get certificates for by ACME
	Email     string   // for the authority; may be empty
	Directory string   // URL of the authority; empty: Let's Encrypt

	SelfSigned bool

	Folder string // keeps what was made or received; not needed for files
}

// Enabled tells whether there is to be TLS at all.
func (c Config) Enabled() bool { return c.CertFile != "" || len(c.Hosts) > 0 || c.SelfSigned }

// Check tells what is wrong with the settings.
func (c Config) Check() error {
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("a certificate needs its key: set both tls-cert and tls-key")
	}
	ways := 0
	for _, used := range []bool{c.CertFile != "", len(c.Hosts) > 0, c.SelfSigned} {
		if used {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("certificate files, ACME and self-signed exclude each other: set one of them")
	}
	if len(c.Hosts) == 0 && (c.Email != "" || c.Directory != "") {
		return errors.New("acme-email and acme-directory are of no use without acme")
	}
	for _, host := range c.Hosts {
		if net.ParseIP(host) != nil || autocert.HostWhitelist(host)(context.Background(), host) != nil {
			return fmt.Errorf("acme %q: must be a host name in lower case, such as chat.example.org", host)
		}
	}
	return nil
}

// Source is an open source of certificates.
type Source struct {
	// TLS is for the server: HTTP/2, TLS 1.2 and newer, and Go's choice of
	// ciphers, which follows the state of the art.
	TLS *tls.Config

	// SelfSignedFile is the certificate that was made here, for those who want
	// their browser to know it; empty for real ones.
	SelfSignedFile string

	acme *autocert.Manager
}

// Open makes a source ready. Extra names are put into a self-signed
// certificate beside those of this machine.
func Open(c Config, log *slog.Logger, extra ...string) (*Source, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	s := &Source{TLS: config}
	switch {
	case len(c.Hosts) > 0:
		s.acme = &autocert.Manager{
			Prompt:     autocert.AcceptTOS,
			HostPolicy: autocert.HostWhitelist(c.Hosts...),
			Cache:      autocert.DirCache(filepath.Join(c.Folder, "acme")),
			Email:      c.Email,
			Client:     &acme.Client{DirectoryURL: c.Directory, UserAgent: "parlor"},
		}
		config.GetCertificate = s.acme.GetCertificate
		config.NextProtos = append(config.NextProtos, acme.ALPNProto)
		return s, nil
	case c.SelfSigned:
		var err error
		c.CertFile, c.KeyFile, err = selfSigned(c.Folder, names(extra))
		if err != nil {
			return nil, fmt.Errorf("make a self-signed certificate: %w", err)
		}
		s.SelfSignedFile = c.CertFile
	}
	files := &files{cert: c.CertFile, key: c.KeyFile, log: log}
	if err := files.load(); err != nil {
		return nil, err
	}
	config.GetCertificate = files.get
	return s, nil
}

// Plain is the handler for plain HTTP beside TLS: it answers the questions of
// an ACME authority and sends everybody else to https, on the port of
// httpsAddr.
func (s *Source) Plain(httpsAddr string) http.Handler {
	_, port, _ := net.SplitHostPort(httpsAddr)
	redirect := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// What was posted has been seen by everyone on the way already. Passing
		// it on quietly would hide the mistake.
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "Parlor is reached by https.", http.StatusBadRequest)
			return
		}
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if port != "443" && port != "" {
			host = net.JoinHostPort(host, port)
		}
		// Not for ever (301): whoever turns TLS off again would lock out every
		// browser that remembers it.
		http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusFound)
	})
	if s.acme != nil {
		return s.acme.HTTPHandler(redirect)
	}
	return redirect
}
