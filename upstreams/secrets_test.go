package upstreams

import (
	"strings"
	"testing"
)

func TestErrorsOfAddressesShowNoSecret(t *testing.T) {
	for _, address := range []string{
		"generativelanguage.googleapis.com/v1?key=hunter2", "ftp://h/v1?key=hunter2", "https://?key=hunter2", "https://u:hunter2@h/v1",
		"https://h/v1?key=hunter2#x", "wss://h?key=hunter2", "https://h:port/?key=hunter2", "https://h/%zz?key=hunter2",
	} {
		_, err := parseBaseURL(address)
		if err == nil {
			t.Errorf("%s: got no error", address)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the secret: %v", address, err)
		}
	}
}

func TestAPoolMayGoBackToTheRate(t *testing.T) {
	three, rate := 3, 20.0
	defaults := Policy{Cooldown: &Cooldown{AllowedFails: &three}}
	if got := (Policy{Cooldown: &Cooldown{FailureRate: &rate}}).Over(defaults); got.Cooldown.AllowedFails != nil || *got.Cooldown.FailureRate != 20 {
		t.Errorf("got %+v, want the pool's rate alone", got.Cooldown)
	}
	if got := (Policy{Cooldown: new(Cooldown)}).Over(defaults); got.Cooldown.AllowedFails == nil {
		t.Error("a pool that says nothing of either lost the router's allowed_fails")
	}
	if defaults.Cooldown.AllowedFails == nil {
		t.Error("the defaults were changed")
	}
}
