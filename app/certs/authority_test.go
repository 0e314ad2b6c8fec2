package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// authority is an ACME authority (RFC 8555) that believes every signature,
// but does ask by http-01 whether the name is the client's.
type authority struct {
	t    *testing.T
	web  *httptest.Server
	asks string // address at which every name is reached
	pool *x509.CertPool

	root     *x509.Certificate
	key      *ecdsa.PrivateKey
	answered string // to the challenge
	chain    []byte
	issued   int
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	a.root = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.root, a.root, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.root, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.root)

	mux := http.NewServeMux()
	a.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Replay-Nonce", rand.Text())
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(a.web.Close)
	at := func(path string) string { return a.web.URL + path }
	answer := func(w http.ResponseWriter, code int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	order := func(w http.ResponseWriter, code int) {
		status := "pending"
		if a.answered != "" {
			status = "ready"
		}
		if a.chain != nil {
			status = "valid"
		}
		w.Header().Set("Location", at("/order"))
		answer(w, code, map[string]any{
			"status": status, "authorizations": []string{at("/authorization")}, "finalize": at("/finalize"), "certificate": at("/certificate"),
			"identifiers": []map[string]string{{"type": "dns", "value": "chat.example.org"}},
		})
	}
	mux.HandleFunc("GET /directory", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]string{"newNonce": at("/nonce"), "newAccount": at("/account"), "newOrder": at("/order/new")})
	})
	mux.HandleFunc("HEAD /nonce", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /account", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", at("/account/1"))
		answer(w, 201, map[string]string{"status": "valid"})
	})
	mux.HandleFunc("POST /order/new", func(w http.ResponseWriter, _ *http.Request) { order(w, 201) })
	mux.HandleFunc("POST /order", func(w http.ResponseWriter, _ *http.Request) { order(w, 200) })
	mux.HandleFunc("POST /authorization", func(w http.ResponseWriter, _ *http.Request) {
		status := "pending"
		if a.answered != "" {
			status = "valid"
		}
		answer(w, 200, map[string]any{
			"status": status, "identifier": map[string]string{"type": "dns", "value": "chat.example.org"},
			"challenges": []map[string]string{{"type": "http-01", "url": at("/challenge"), "token": "the-token", "status": status}},
		})
	})
	mux.HandleFunc("POST /challenge", func(w http.ResponseWriter, _ *http.Request) {
		a.answered = a.ask()
		answer(w, 200, map[string]string{"type": "http-01", "url": at("/challenge"), "token": "the-token", "status": "valid"})
	})
	mux.HandleFunc("POST /finalize", func(w http.ResponseWriter, r *http.Request) {
		a.issue(r)
		order(w, 200)
	})
	mux.HandleFunc("POST /certificate", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = w.Write(a.chain)
	})
	return a
}

// ask asks the client for the token, by plain HTTP.
func (a *authority) ask() string {
	req, err := http.NewRequest(http.MethodGet, "http://"+a.asks+"/.well-known/acme-challenge/the-token", nil)
	if err != nil {
		a.t.Error(err)
		return ""
	}
	req.Host = "chat.example.org"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || !strings.HasPrefix(string(text), "the-token.") {
		a.t.Errorf("the challenge was answered %s %q", resp.Status, text)
		return ""
	}
	return string(text)
}

// issue signs what the request asks for.
func (a *authority) issue(r *http.Request) {
	var jws struct{ Payload string }
	var payload struct{ CSR string }
	if err := json.NewDecoder(r.Body).Decode(&jws); err != nil {
		a.t.Error(err)
	}
	text, err := base64.RawURLEncoding.DecodeString(jws.Payload)
	if err == nil {
		err = json.Unmarshal(text, &payload)
	}
	if err != nil {
		a.t.Error(err)
	}
	der, err := base64.RawURLEncoding.DecodeString(payload.CSR)
	if err != nil {
		a.t.Error(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		a.t.Error(err)
		return
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: csr.DNSNames,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, a.root, csr.PublicKey, a.key)
	if err != nil {
		a.t.Error(err)
		return
	}
	a.issued++
	a.chain = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
}
