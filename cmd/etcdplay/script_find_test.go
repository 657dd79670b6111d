package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// die ends a program of a script.
func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// discoveryService is the program `discovery-service ADDRESS CERT KEY REGISTRY`:
// a discovery service as sites have run them for members up to 3.6. It hands out
// tokens at /new, and passes on what is asked of a token to the registry, an etcd
// with API 2.
func discoveryService() {
	if len(os.Args) != 5 {
		die(fmt.Errorf("usage: discovery-service ADDRESS CERT KEY REGISTRY"))
	}
	addr, cert, key := os.Args[1], os.Args[2], os.Args[3]
	registry, err := url.Parse(os.Args[4])
	die(err)
	registry.Path = "/v2/keys/_etcd/registry"
	http.Handle("/", &httputil.ReverseProxy{
		FlushInterval: -1, // who watches waits for the header
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(registry) },
	})
	http.HandleFunc("/new", func(w http.ResponseWriter, r *http.Request) {
		var raw [20]byte
		rand.Read(raw[:])
		token := hex.EncodeToString(raw[:])
		body := strings.NewReader(url.Values{"value": {r.URL.Query().Get("size")}}.Encode())
		put, err := http.NewRequestWithContext(r.Context(), http.MethodPut, registry.String()+"/"+token+"/_config/size", body)
		if err == nil {
			put.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			var resp *http.Response
			if resp, err = http.DefaultClient.Do(put); err == nil {
				_ = resp.Body.Close() // its status tells
				if resp.StatusCode != http.StatusCreated {
					err = fmt.Errorf("the registry answers %s", resp.Status)
				}
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "https://%s/%s", addr, token)
	})
	listener, err := net.Listen("tcp", addr)
	die(err)
	fmt.Println("serving")
	die(http.ServeTLS(listener, nil, cert, key))
}

// nameServer is the program `nameserver ADDRESS FILE`. Each line of the file is a
// name and its address, or a service, a target and a port. It is read for each
// question.
func nameServer() {
	if len(os.Args) != 3 {
		die(fmt.Errorf("usage: nameserver ADDRESS FILE"))
	}
	udp, err := net.ListenPacket("udp", os.Args[1]+":53")
	die(err)
	tcp, err := net.Listen("tcp", os.Args[1]+":53")
	die(err)
	serveNames(udp, tcp, func() zone {
		f, err := os.Open(os.Args[2])
		die(err)
		defer f.Close()
		z, err := readZone(f)
		die(err)
		return z
	})
	fmt.Println("serving")
	select {}
}

func readZone(r io.Reader) (zone, error) {
	z := zone{addresses: map[string]string{}, services: map[string][]srvTarget{}}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		switch words := strings.Fields(lines.Text()); len(words) {
		case 0:
		case 2:
			z.addresses[words[0]] = words[1]
		case 3:
			port, err := strconv.ParseUint(words[2], 10, 16)
			if err != nil {
				return z, err
			}
			z.services[words[0]] = append(z.services[words[0]], srvTarget{words[1], uint16(port)})
		default:
			return z, fmt.Errorf("no record: %q", lines.Text())
		}
	}
	return z, lines.Err()
}
