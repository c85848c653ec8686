package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPauseFollowsTheLastTryToo(t *testing.T) {
	failure := errors.New("no")
	for _, want := range []struct {
		tries int
		after time.Duration
	}{
		{1, 200 * time.Millisecond},
		{3, 1400 * time.Millisecond},
		// As long as Milvus tries to register.
		{30, 81 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			tried, start := 0, time.Now()
			err := retry(context.Background(), want.tries, func() error { tried++; return failure })
			if took := time.Since(start); took != want.after || tried != want.tries || !errors.Is(err, failure) {
				t.Errorf("%d tries: %v after %d and %v", want.tries, err, tried, took)
			}
		})
	}
}

func TestNothingIsTriedOnceTheContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := retry(ctx, 3, func() error { t.Error("tried"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAShutGateIsOpenAgainWhenOneSaysSo(t *testing.T) {
	var g gate
	for _, shut := range []bool{true, true, false, false} {
		// A second word of the same is none.
		g.set(shut)
		passes := g.steps.TryRLock()
		if passes {
			g.leave()
		}
		if passes == shut {
			t.Errorf("shut %v: passes %v", shut, passes)
		}
	}
	g.pass()
}

func TestPausesBetweenQuestionsForALeaseGrowToALimitAndLieAroundIt(t *testing.T) {
	var pause backOff
	for n := range 60 {
		next := pause.next()
		if next < pause.last/2 || next > pause.last*3/2 {
			t.Errorf("no. %d: %v around %v", n, next, pause.last)
		}
	}
	if pause.last != 100*time.Second {
		t.Error(pause.last)
	}
}
