package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"
)

// waitPause is how long Wait pauses before it asks again.
const waitPause = 250 * time.Millisecond

// Wait returns when the server at the connection string takes connections. One
// that is not there yet, or is still starting, it waits for, at most for the
// given time; waiting is then told why, once. One that is there and refuses (a
// wrong password, a database that does not exist) will not come round: that is
// an error at once.
func Wait(ctx context.Context, url string, most time.Duration, waiting func(why error)) error {
	connector, err := connectorTo(url)
	if err != nil {
		return fmt.Errorf("read the database URL: %w", err)
	}
	connector.Dialer(dialer{answerWithin: answerWithin})
	conn := sql.OpenDB(connector)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	why, told := errors.New("it has not answered"), false
	for {
		err := conn.PingContext(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("wait for the database: %w: %w", ctx.Err(), why)
		case !isComing(err):
			return fmt.Errorf("connect to the database: %w", err)
		case !told:
			waiting(err)
			told = true
		}
		why = err
		select {
		case <-ctx.Done():
		case <-time.After(waitPause):
		}
	}
}

// isComing tells whether a server that does not take a connection may do so
// soon. In distinction from IsAway a refusal by the server is mostly final.
func isComing(err error) bool {
	var refused *pq.Error
	if errors.As(err, &refused) {
		class := refused.Code.Class()
		return class == "57" || class == "53" // starting or stopping; too many connections
	}
	return IsAway(err)
}
