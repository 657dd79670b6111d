package main

import (
	"encoding/binary"
	"io"
	"net"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is the records of a small name server: addresses by name, and for a
// service its targets with their ports, both with the dot at the end. Nothing
// else exists.
type zone struct {
	addresses map[string]string
	services  map[string][]srvTarget
}

type srvTarget struct {
	host string
	port uint16
}

// serveNames answers by UDP and TCP until they are closed.
func serveNames(udp net.PacketConn, tcp net.Listener, of func() zone) {
	go func() {
		packet := make([]byte, 4096)
		for {
			n, from, err := udp.ReadFrom(packet)
			if err != nil {
				return
			}
			if answer := of().answer(packet[:n]); answer != nil {
				_, _ = udp.WriteTo(answer, from) // who asked asks again
			}
		}
	}()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go talk(c, of)
		}
	}()
}

// talk answers what comes on one connection, each message led by its length.
func talk(c net.Conn, of func() zone) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		answer := of().answer(question)
		if answer == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answer is nil for what is no question.
func (z zone) answer(message []byte) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(message); err != nil || m.Response || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	name := strings.ToLower(q.Name.String())
	address, named := z.addresses[name]
	targets, served := z.services[name]
	m.Response, m.Authoritative, m.RecursionAvailable = true, true, true
	m.Answers, m.Authorities, m.Additionals = nil, nil, nil
	if !named && !served {
		m.RCode = dnsmessage.RCodeNameError
	}
	head := func(of dnsmessage.Type) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: q.Name, Type: of, Class: dnsmessage.ClassINET, TTL: 1}
	}
	if named && q.Type == dnsmessage.TypeA {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: head(q.Type), Body: &dnsmessage.AResource{A: [4]byte(net.ParseIP(address).To4())},
		})
	}
	if q.Type == dnsmessage.TypeSRV {
		for _, to := range targets {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: head(q.Type), Body: &dnsmessage.SRVResource{Target: dnsmessage.MustNewName(to.host), Port: to.port},
			})
		}
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}
