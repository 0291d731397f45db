// The exchanges that every client makes, with Go's net/http: http_client BASE 1|2 AUTHORITY
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
)

func fail(what string, why interface{}) {
	fmt.Println("bad:", what, why)
	os.Exit(1)
}

func main() {
	base, version := os.Args[1], os.Args[2]
	pem, err := os.ReadFile(os.Args[3])
	if err != nil {
		fail("authority", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: version == "2"}
	if version == "1" {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	client := &http.Client{Transport: transport}

	read := func(what string, answer *http.Response, err error) (int, []byte) {
		if err != nil {
			fail(what, err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			fail(what, err)
		}
		if fmt.Sprint(answer.ProtoMajor) != version {
			fail(what, answer.Proto)
		}
		return answer.StatusCode, body
	}
	get := func(path string) (int, int) {
		answer, err := client.Get(base + path)
		status, body := read(path, answer, err)
		return status, len(body)
	}
	check := func(what string, good bool) {
		if !good {
			fail(what, "wrong answer")
		}
	}

	_, count := get("/bytes/100000")
	check("100,000 bytes", count == 100000)
	_, count = get("/chunks/50")
	check("50 chunks", count == 50000)
	status, _ := get("/status/204")
	check("204", status == 204)
	status, _ = get("/status/404")
	check("404", status == 404)
	// A reader without a known length goes out in chunks over HTTP/1.1.
	answer, err := client.Post(base+"/echo", "x/y", io.MultiReader(bytes.NewReader(make([]byte, 300000))))
	_, body := read("/echo", answer, err)
	check("300,000 bytes sent", strings.Contains(string(body), `"bodyBytes":300000`))
	var all sync.WaitGroup
	for i := 0; i < 50; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			_, count := get("/bytes/10")
			check("50 at once", count == 10)
		}()
	}
	all.Wait()
	fmt.Println("ok")
}
