package upstreams

import (
	"net/http"
	"testing"
)

func TestIsUpgrade(t *testing.T) {
	header := func(values ...string) http.Header {
		h := make(http.Header)
		for i := 0; i+1 < len(values); i += 2 {
			h.Add(values[i], values[i+1])
		}
		return h
	}
	webSocket := header("Connection", "Upgrade", "Upgrade", "websocket")
	protocol := http.Header{":protocol": {"websocket"}}
	tests := []struct {
		name string
		r    http.Request
		want bool
	}{
		{"a WebSocket", http.Request{Method: "GET", Header: webSocket}, true},
		{"in other letters, in lists", http.Request{Method: "GET", Header: header("Connection", "keep-alive, upgrade", "Upgrade", "h2c, WebSocket")}, true},
		{"in two lines", http.Request{Method: "GET", Header: header("Connection", "keep-alive", "Connection", "upgrade", "Upgrade", "h2c", "Upgrade", "websocket")}, true},
		{"without Connection", http.Request{Method: "GET", Header: header("Upgrade", "websocket")}, false},
		{"without Upgrade", http.Request{Method: "GET", Header: header("Connection", "Upgrade")}, false},
		{"another protocol", http.Request{Method: "GET", Header: header("Connection", "Upgrade", "Upgrade", "websocket/13")}, false},
		{"with a body", http.Request{Method: "GET", Header: webSocket, ContentLength: 3}, false},
		{"with a body in chunks", http.Request{Method: "GET", Header: webSocket, ContentLength: -1}, false},
		{"HEAD", http.Request{Method: "HEAD", Header: webSocket}, false},
		{"POST", http.Request{Method: "POST", Header: webSocket}, false},
		{"DELETE", http.Request{Method: "DELETE", Header: webSocket}, false},
		{"extended CONNECT, HTTP/2", http.Request{Method: "CONNECT", ProtoMajor: 2, Header: protocol}, true},
		{"extended CONNECT, HTTP/3", http.Request{Method: "CONNECT", ProtoMajor: 3, Proto: "websocket"}, true},
		{"CONNECT to another protocol", http.Request{Method: "CONNECT", ProtoMajor: 2, Header: http.Header{":protocol": {"connect-udp"}}}, false},
		{"CONNECT, HTTP/1.1", http.Request{Method: "CONNECT", ProtoMajor: 1, Header: webSocket}, false},
		{"CONNECT, HTTP/2", http.Request{Method: "CONNECT", ProtoMajor: 2, Proto: "HTTP/2.0"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := IsUpgrade(&tt.r); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}
