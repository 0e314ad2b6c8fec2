package app_test

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"

	"parlor/app"
)

func readConfig(args []string, env map[string]string) (app.Config, string, error) {
	var out strings.Builder
	cfg, err := app.ReadConfig(args, func(name string) string { return env[name] }, &out)
	return cfg, out.String(), err
}

func TestSettingsComeFromFlagsBeforeEnvironment(t *testing.T) {
	cfg, _, err := readConfig([]string{"-addr", ":9000", "-topic-length", "99"}, map[string]string{
		"PARLOR_ADDR": ":7000", "PARLOR_DATA": "/var/parlor", "PARLOR_PUBLIC_URL": "https://chat.example",
		"PARLOR_TRUSTED_PROXIES": "10.0.0.0/8, 127.0.0.1", "PARLOR_POSTS_PER_SECOND": "0.5",
		"NATS_URL": "nats://one,nats://two",
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Addr != ":9000" || cfg.Data != "/var/parlor" || cfg.Topic != 99 || cfg.PostsPerSecond != 0.5 || !cfg.Secure() || cfg.NATS != "nats://one,nats://two" || len(cfg.TrustedProxies) != 2 {
		t.Errorf("%+v", cfg)
	}
}

func TestFilesAreInTheDataFolderUnlessSaidOtherwise(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"/var/parlor/files": {"PARLOR_DATA": "/var/parlor"},
		"/mnt/files":        {"PARLOR_DATA": "/var/parlor", "PARLOR_FILES": "/mnt/files"},
	} {
		if cfg, _, err := readConfig(nil, env); err != nil || cfg.Files != want {
			t.Errorf("%v: %s, %v", env, cfg.Files, err)
		}
	}
}

func TestBadSettingsAreRefusedAtStart(t *testing.T) {
	for _, env := range []map[string]string{
		{"PARLOR_PUBLIC_URL": "chat.example"},
		{"PARLOR_PUBLIC_URL": "ftp://chat.example"},
		{"PARLOR_TRUSTED_PROXIES": "the proxy"},
		{"PARLOR_MESSAGE_BYTES": "0"},
		{"PARLOR_MESSAGE_BYTES": "2000000"},
		{"PARLOR_MESSAGE_LINES": "many"},
		{"PARLOR_POSTS_PER_SECOND": "-1"},
		{"PARLOR_STREAMS_PER_SESSION": "-1"},
		{"PARLOR_TLS": "yes"},
		{"PARLOR_TLS_CERT": "chain.pem"},
		{"PARLOR_TLS": "self-signed", "PARLOR_ACME": "chat.example"},
		{"PARLOR_TLS": "self-signed", "PARLOR_PUBLIC_URL": "http://chat.example"},
		{"PARLOR_HTTP_ADDR": ":80"},
		{"PARLOR_FILE_BYTES": "-1"},
		{"PARLOR_FILE_BYTES": "25MB"},
		{"PARLOR_FILES_PER_MESSAGE": "0"},
		{"PARLOR_FILE_BYTES_PER_DAY": "-1"},
		{"PARLOR_FILES_TOTAL": "-1"},
		{"PARLOR_DRAIN_FOR": "-1s"},
		{"PARLOR_DRAIN_FOR": "5"},
		{"PARLOR_PREVIEWS": "some"},
	} {
		if _, _, err := readConfig(nil, env); err == nil {
			t.Errorf("%v was taken", env)
		}
	}
	if _, _, err := readConfig([]string{"serve"}, nil); err == nil {
		t.Error("an unknown argument was taken")
	}
}

func TestMalformedSettingIsNamedWithWhatIsExpected(t *testing.T) {
	for _, c := range []struct{ variable, value, want string }{
		{"PARLOR_FILE_BYTES", "lots", "a whole number"},
		{"PARLOR_MESSAGE_LINES", "1.5", "a whole number"},
		{"PARLOR_POSTS_PER_SECOND", "two", "a number, such as"},
		{"PARLOR_DRAIN_FOR", "5", "a time with its unit"},
		{"PARLOR_PRIVATE_OPEN", "perhaps", "true or false"},
		{"PARLOR_PREVIEWS", "some", "on and off"},
		{"PARLOR_PUBLIC_URL", "chat.example", "https://chat.example.org"},
		{"PARLOR_TRUSTED_PROXIES", "the proxy", "10.0.0.0/8"},
		{"PARLOR_PRIVATE_ADDR", "9090", "127.0.0.1:9090"},
		{"PARLOR_TLS", "yes", "self-signed"},
	} {
		_, _, err := readConfig(nil, map[string]string{c.variable: c.value})
		said := fmt.Sprint(err)
		if err == nil || !strings.Contains(said, c.variable) || !strings.Contains(said, c.value) || !strings.Contains(said, c.want) || strings.Contains(said, "parse") {
			t.Errorf("%s=%s: %v", c.variable, c.value, err)
		}
	}
}

func TestPreviewsAreOnUntilTheyAreOff(t *testing.T) {
	for value, want := range map[string]bool{"": true, "on": true, "off": false} {
		c, _, err := readConfig(nil, map[string]string{"PARLOR_PREVIEWS": value})
		if err != nil || c.Previews != want || c.PreviewReach != nil {
			t.Errorf("%q: %v, %v, %v", value, c.Previews, c.PreviewReach, err)
		}
	}
}

func TestHelpExplainsEverySetting(t *testing.T) {
	_, help, err := readConfig([]string{"-h"}, nil)
	if !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, want := range []string{"PARLOR_ADDR", "PARLOR_DATA", "DATABASE_URL", "PARLOR_PUBLIC_URL", "PARLOR_TRUSTED_PROXIES", "PARLOR_POSTS_PER_SECOND", "PARLOR_STREAMS_PER_SESSION", "PARLOR_TLS", "PARLOR_ACME", "PARLOR_PRIVATE_ADDR", "PARLOR_DRAIN_FOR"} {
		if !strings.Contains(help, want) {
			t.Errorf("no %s in the help", want)
		}
	}
}

func TestListeningFollowsTLS(t *testing.T) {
	for _, c := range []struct {
		env                      map[string]string
		addr, plain              string
		secure, selfSigned, acme bool
	}{
		{map[string]string{}, ":8080", "", false, false, false},
		{map[string]string{"PARLOR_TLS": "self-signed"}, ":8080", "", true, true, false},
		{map[string]string{"PARLOR_TLS_CERT": "a", "PARLOR_TLS_KEY": "b", "PARLOR_ADDR": ":443", "PARLOR_HTTP_ADDR": ":80"}, ":443", ":80", true, false, false},
		{map[string]string{"PARLOR_ACME": "chat.example.org, www.example.org"}, ":443", ":80", true, false, true},
		{map[string]string{"PARLOR_ACME": "chat.example.org", "PARLOR_ADDR": ":8443", "PARLOR_HTTP_ADDR": ":8081"}, ":8443", ":8081", true, false, true},
	} {
		cfg, _, err := readConfig(nil, c.env)
		if err != nil {
			t.Errorf("%v: %v", c.env, err)
			continue
		}
		if cfg.Addr != c.addr || cfg.HTTPAddr != c.plain || cfg.Secure() != c.secure || cfg.TLS.SelfSigned != c.selfSigned || (len(cfg.TLS.Hosts) > 0) != c.acme {
			t.Errorf("%v: %+v", c.env, cfg)
		}
	}
}

func TestTheOperatorsAddressIsForThisMachine(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:9090": true, "localhost:9090": true, "[::1]:9090": true,
		":9090": false, "0.0.0.0:9090": false, "10.0.0.7:9090": false, "9090": false,
	} {
		if _, _, err := readConfig(nil, map[string]string{"PARLOR_PRIVATE_ADDR": addr}); (err == nil) != ok {
			t.Errorf("%q: %v", addr, err)
		}
	}
	if _, _, err := readConfig([]string{"-private-addr", ":9090", "-private-open"}, nil); err != nil {
		t.Error(err)
	}
}
