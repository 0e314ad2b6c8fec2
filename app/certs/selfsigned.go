package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A self-signed certificate lasts a year, and is made anew in its last month.
const (
	selfSignedFor  = 365 * 24 * time.Hour
	selfSignedLeft = 30 * 24 * time.Hour
)

// selfSigned returns the files of the certificate in the folder, which it
// makes if there is none or an old one. It stays the same over restarts,
// since a browser remembers an exception by the certificate.
func selfSigned(folder string, names []string) (certFile, keyFile string, err error) {
	certFile = filepath.Join(folder, "self-signed.crt")
	keyFile = filepath.Join(folder, "self-signed.key")
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err == nil && time.Until(pair.Leaf.NotAfter) > selfSignedLeft {
		return certFile, keyFile, nil
	}
	cert, key, err := makeSelfSigned(names, time.Now())
	if err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", "", err
	}
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		return "", "", err
	}
	return certFile, keyFile, os.WriteFile(certFile, cert, 0o644)
}

// makeSelfSigned returns a certificate for the names, and its key, in PEM.
func makeSelfSigned(names []string, from time.Time) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Parlor, self-signed"},
		NotBefore:    from.Add(-time.Hour), // clocks differ
		NotAfter:     from.Add(selfSignedFor),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// So that it can be imported where authorities are, and covers itself
		// alone there.
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}

// names are those under which this machine may be reached.
func names(extra []string) []string {
	all := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil {
		all = append(all, host)
		if !strings.Contains(host, ".") {
			all = append(all, host+".local")
		}
	}
	addrs, _ := net.InterfaceAddrs() // without them, the names must do
	for _, addr := range addrs {
		if ip, ok := addr.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
			all = append(all, ip.IP.String())
		}
	}
	return append(all, extra...)
}
