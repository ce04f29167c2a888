package retry_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

func ExampleClassify() {
	tooLong := []byte(`{"error":{"message":"prompt is too long","type":"invalid_request_error"}}`)
	spent := []byte(`{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}`)
	fmt.Println(retry.Classify(400, nil, tooLong))
	fmt.Println(retry.Classify(429, nil, spent))
	fmt.Println(retry.Classify(429, nil, nil))
	// Output:
	// context_window
	// quota
	// rate_limit
}

func ExampleClassifyEvent() {
	fmt.Println(retry.ClassifyEvent([]byte(`{"choices":[{"delta":{"content":"error"}}]}`)))
	fmt.Println(retry.ClassifyEvent([]byte(`{"type":"error","error":{"type":"overloaded_error"}}`)))
	// Output:
	// none
	// overloaded
}

func ExampleWait() {
	now := time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)
	body := []byte(`{"error":{"message":"Please try again in 9m38.016s."}}`)
	fmt.Println(retry.Wait(nil, body, now))
	fmt.Println(retry.Wait(http.Header{"Retry-After": {"Sun, 01 Jun 2025 12:00:30 GMT"}}, body, now))
	fmt.Println(retry.Wait(nil, nil, now))
	// Output:
	// 9m38.016s true
	// 30s true
	// 0s false
}

func ExampleBackoff_Delay() {
	b := retry.Backoff{Initial: 500 * time.Millisecond, Max: 8 * time.Second}
	for n := range 6 {
		fmt.Println(b.Delay(n, 0.5)) // the draw, normally from math/rand/v2
	}
	// Output:
	// 250ms
	// 500ms
	// 1s
	// 2s
	// 4s
	// 4s
}

func ExampleBudget() {
	now := time.Now()
	budget := retry.NewBudget(20, 0)
	for range 10 {
		budget.Deposit(now)
	}
	fmt.Println(budget.Withdraw(now), budget.Withdraw(now), budget.Withdraw(now))
	// Output: true true false
}
