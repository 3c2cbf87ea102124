// probe is what tests run in pods to look at a cluster from the inside; its image has no shell.
//
//	probe serve PORT            answers every request with the name of its pod
//	probe get URL [SECONDS]     prints status and body; fails without an answer within SECONDS (3)
//	probe lookup NAME           prints addresses
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	arguments := append(os.Args[1:], "", "", "")
	var err error
	switch arguments[0] {
	case "serve":
		err = serve(arguments[1])
	case "get":
		err = get(arguments[1], arguments[2])
	case "lookup":
		err = lookup(arguments[1])
	default:
		err = fmt.Errorf("usage: probe serve PORT | get URL [SECONDS] | lookup NAME")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(port string) error {
	leave, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	name, _ := os.Hostname()
	answer := func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, name) }
	server := &http.Server{Addr: ":" + port, Handler: http.HandlerFunc(answer), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-leave.Done()
		server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func get(url, seconds string) error {
	limit := 3 * time.Second
	if seconds != "" {
		var err error
		if limit, err = time.ParseDuration(seconds + "s"); err != nil {
			return err
		}
	}
	answer, err := (&http.Client{Timeout: limit}).Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	fmt.Println(answer.StatusCode)
	_, err = io.Copy(os.Stdout, answer.Body)
	return err
}

func lookup(name string) error {
	addresses, err := net.LookupHost(name)
	fmt.Println(strings.Join(addresses, "\n"))
	return err
}
