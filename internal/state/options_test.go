package state

import (
	"slices"
	"strings"
	"testing"
)

func TestParseURLs(t *testing.T) {
	for name, test := range map[string]struct {
		urls      []string
		sentinels bool
		want      Options
		tls       bool
	}{
		"a host":          {urls: []string{"redis://localhost"}, want: Options{Addrs: []string{"localhost:6379"}}},
		"everything":      {urls: []string{"rediss://u:p%40ss@h:1/5"}, want: Options{Addrs: []string{"h:1"}, Username: "u", Password: "p@ss", DB: 5}, tls: true},
		"a password":      {urls: []string{"redis://:p@h"}, want: Options{Addrs: []string{"h:6379"}, Password: "p"}},
		"an IPv6 address": {urls: []string{"redis://[::1]/0"}, want: Options{Addrs: []string{"[::1]:6379"}}},
		"a Cluster":       {urls: []string{"redis://u:p@a:1", "redis://u:p@b:2"}, want: Options{Addrs: []string{"a:1", "b:2"}, Username: "u", Password: "p"}},
		"Sentinels":       {urls: []string{"redis://:p@a/2", "redis://:p@b:2/2"}, sentinels: true, want: Options{Addrs: []string{"a:26379", "b:2"}, Password: "p", DB: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseURLs(test.urls, test.sentinels)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Addrs, test.want.Addrs) || got.Username != test.want.Username || got.Password != test.want.Password ||
				got.DB != test.want.DB || (got.TLS != nil) != test.tls {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestParseURLsRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		urls []string
		want string
	}{
		"nothing":                  {nil, "no URL"},
		"a bare address":           {[]string{"hunter2:6379"}, "the scheme must be"},
		"another scheme":           {[]string{"http://:hunter2@h"}, "the scheme must be"},
		"a password not encoded":   {[]string{"redis://:hunter2/%zz@h"}, "percent-encoded"},
		"no host":                  {[]string{"redis://:hunter2@"}, "expected <scheme>"},
		"a query":                  {[]string{"redis://:hunter2@h?x=1"}, "nothing else"},
		"a fragment":               {[]string{"redis://:hunter2@h#x"}, "nothing else"},
		"port 0":                   {[]string{"redis://:hunter2@h:0"}, "the port"},
		"a large port":             {[]string{"redis://:hunter2@h:65536"}, "the port"},
		"a database with a name":   {[]string{"redis://:hunter2@h/x"}, "the number of a database"},
		"a negative database":      {[]string{"redis://:hunter2@h/-1"}, "the number of a database"},
		"a Cluster with databases": {[]string{"redis://:hunter2@a/1", "redis://:hunter2@b/1"}, "no database but 0"},
		"two passwords":            {[]string{"redis://:hunter2@a", "redis://:x@b"}, "URL 2: scheme, user, password"},
		"two schemes":              {[]string{"redis://:hunter2@a", "rediss://:hunter2@b"}, "URL 2: scheme, user, password"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseURLs(test.urls, false)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want an error that says %q", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want it without the password", err)
			}
		})
	}
}
