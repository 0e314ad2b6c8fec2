package app_test

import (
	"errors"
	"flag"
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
	} {
		if _, _, err := readConfig(nil, env); err == nil {
			t.Errorf("%v was taken", env)
		}
	}
	if _, _, err := readConfig([]string{"serve"}, nil); err == nil {
		t.Error("an unknown argument was taken")
	}
}

func TestHelpExplainsEverySetting(t *testing.T) {
	_, help, err := readConfig([]string{"-h"}, nil)
	if !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, want := range []string{"PARLOR_ADDR", "PARLOR_DATA", "DATABASE_URL", "PARLOR_PUBLIC_URL", "PARLOR_TRUSTED_PROXIES", "PARLOR_POSTS_PER_SECOND", "PARLOR_STREAMS_PER_SESSION"} {
		if !strings.Contains(help, want) {
			t.Errorf("no %s in the help", want)
		}
	}
}
