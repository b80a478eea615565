package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
)

// An agent goes to sleep and wants to be woken in 45 minutes, with its context.
func Example() {
	api := pretendAPI() // yours is at https://timers.example.com, or what `minoots dev` prints
	defer api.Close()

	c, err := client.New(api.URL, "mnt_…")
	if err != nil {
		panic(err)
	}
	defer c.Close()

	in := minoots.Duration(45 * time.Minute)
	timer, err := c.CreateTimer(context.Background(), minoots.TimerSpec{
		Name:     "resume-research",
		Duration: &in,
		Labels:   map[string]string{"session": "s-17"},
		Metadata: json.RawMessage(`{"next": "read the second offer"}`),
		ActionBundle: &minoots.Bundle{Actions: []minoots.Action{{
			ID: "wake", Kind: minoots.KindWebhook,
			Parameters: json.RawMessage(`{"url": "https://agents.example.com/wake"}`),
		}}},
	}, "wake-s-17") // the same key again makes no second timer
	if err != nil {
		panic(err)
	}
	fmt.Println(timer.Status, "until", timer.FireAt)
	// Output: scheduled until 2026-11-23T09:45:00.000000Z
}

// pretendAPI answers every request as if it were 09:00.
func pretendAPI() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id": "01890a5d-ac96-774b-bcce-b302099a8057", "status": "scheduled", "fireAt": "2026-11-23T09:45:00Z"}`)
	}))
}
