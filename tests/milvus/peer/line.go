package main

import (
	"context"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
)

// leaseLine is the way of all requests about the lease: it can be cut, as by a network that loses them.
type leaseLine struct{ cut atomic.Bool }

func (l *leaseLine) loses(method string) bool {
	return l.cut.Load() && strings.HasPrefix(method, "/etcdserverpb.Lease/")
}

func (l *leaseLine) unary(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption,
) error {
	if l.loses(method) {
		<-ctx.Done()
		return ctx.Err()
	}
	return invoke(ctx, method, request, reply, conn, options...)
}

func (l *leaseLine) stream(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, streamer grpc.Streamer,
	options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	stream, err := streamer(ctx, desc, conn, method, options...)
	if err != nil {
		return nil, err
	}
	return &leaseStream{ClientStream: stream, line: l, method: method}, nil
}

type leaseStream struct {
	grpc.ClientStream
	line   *leaseLine
	method string
}

// SendMsg loses the message where the line is cut.
func (s *leaseStream) SendMsg(message any) error {
	if s.line.loses(s.method) {
		return nil
	}
	return s.ClientStream.SendMsg(message)
}
