// Package db keeps everything that must survive: people, rooms, messages and
// sessions, in Postgres. The Store has one file per subject, with the SQL
// beside the method that runs it.
//
// Its one invariant is the room's number. Whatever changes in what a room
// shows takes the next rooms.rev in the transaction that makes the change,
// under the room's row lock. Numbers therefore become visible in order and
// without gaps: who has seen everything up to 4183 has missed nothing before.
//
// The package knows neither browsers nor HTML, and it tells nobody: callers
// announce a new number on the bus after the method has returned.
package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"parlor/app/chat"
)

// Migrations holds the numbered SQL files in the folder migrations.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// NewestMigration is the number of the last of the Migrations.
func NewestMigration() (int64, error) {
	files, err := fs.Glob(Migrations, "migrations/*.sql")
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("find the newest migration: %w", err)
	}
	return goose.NumericComponent(files[len(files)-1]) // Glob sorts them
}

// Migrate brings the database at the connection string up to date. Nodes that
// start together take turns by an advisory lock.
func Migrate(ctx context.Context, url string) error {
	conn, err := sqlx.Open("postgres", url)
	if err != nil {
		return fmt.Errorf("open the database to migrate it: %w", err)
	}
	defer conn.Close()
	files, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, conn.DB, files, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// Store reads and writes. It is safe for concurrent use.
type Store struct {
	// DB is for the bus and for metrics; everything else uses the methods.
	DB     *sqlx.DB
	url    string
	now    func() time.Time
	says   sayQueue
	visits visitQueue
	gone   atomic.Pointer[chan struct{}] // see away.go

	epochMu  sync.Mutex
	epoch    string
	newEpoch func() // OnNewEpoch

	committed func(posts int)           // OnCommit
	terms     func(chat.Message) string // FindBy

	searching *sqlx.DB      // for Search alone
	searches  chan struct{} // holds one for each search that runs

	say, changes, changedPeople, roomBySlug, roomByID *sqlx.Stmt
	newest, before, after, around                     *sqlx.Stmt
	visit, findSession, roomSince                     *sqlx.Stmt
	peopleNamed, membersLike                          *sqlx.Stmt
	message, nextRev, edit, newTerms, remove          *sqlx.Stmt
	file, hits                                        *sqlx.Stmt
	memberships, read, clearDrafts                    *sqlx.Stmt
}

// Options for Open; the zero value is good for production.
type Options struct {
	Connections int              // most open connections, default 20
	Now         func() time.Time // default time.Now
}

// Open migrates the database and returns its Store.
func Open(ctx context.Context, url string, opt Options) (*Store, error) {
	if opt.Connections == 0 {
		opt.Connections = 20
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if err := Migrate(ctx, url); err != nil {
		return nil, err
	}
	connector, err := connectorTo(url)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	connector.Dialer(dialer{answerWithin: answerWithin})
	conn := sqlx.NewDb(sql.OpenDB(steady{connector, steadyPlans}), "postgres")
	if err := conn.PingContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	conn.SetMaxOpenConns(opt.Connections)
	conn.SetMaxIdleConns(opt.Connections)
	// Searches are the slowest of what people can ask for: they have connections
	// of their own, and few.
	most := max(1, opt.Connections/4)
	searching := sqlx.NewDb(sql.OpenDB(steady{connector, searchPlans}), "postgres")
	searching.SetMaxOpenConns(most)
	searching.SetMaxIdleConns(most)
	s := &Store{DB: conn, url: url, now: opt.Now, committed: func(int) {}, searching: searching, searches: make(chan struct{}, most)}
	here := make(chan struct{})
	s.gone.Store(&here)
	s.says.waiting = make(map[int64][]*pendingSay)
	if err := conn.GetContext(ctx, &s.epoch, `select epoch from house`); err != nil {
		conn.Close()
		return nil, fmt.Errorf("read the epoch: %w", err)
	}
	for _, p := range []struct {
		into **sqlx.Stmt
		sql  string
	}{
		{&s.say, saySQL}, {&s.changes, changesSQL}, {&s.changedPeople, changedPeopleSQL},
		{&s.roomBySlug, roomBySlugSQL}, {&s.roomByID, roomByIDSQL},
		{&s.newest, newestSQL}, {&s.before, beforeSQL}, {&s.after, afterSQL}, {&s.around, aroundSQL},
		{&s.visit, visitSQL}, {&s.findSession, findSessionSQL}, {&s.roomSince, roomSinceSQL},
		{&s.peopleNamed, peopleNamedSQL}, {&s.membersLike, membersLikeSQL},
		{&s.message, messageSQL}, {&s.nextRev, nextRevSQL}, {&s.edit, editSQL}, {&s.remove, removeSQL}, {&s.file, fileSQL},
		{&s.hits, hitsSQL}, {&s.newTerms, renewTermsSQL},
		{&s.memberships, membershipsSQL}, {&s.read, readSQL}, {&s.clearDrafts, clearDraftsSQL},
	} {
		if *p.into, err = conn.PreparexContext(ctx, p.sql); err != nil {
			conn.Close()
			return nil, fmt.Errorf("prepare %q: %w", p.sql, err)
		}
	}
	if err := s.makeKeys(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// sessionSettings see to it that a node that froze, or vanished without
// closing its connections, lets go of the rooms that it has locked: Postgres
// would wait for it, and everybody else for Postgres.
var sessionSettings = map[string]string{
	"idle_in_transaction_session_timeout": "2s",
	"tcp_keepalives_idle":                 "10", // seconds; without effect on a Unix socket
	"tcp_keepalives_interval":             "3",
	"tcp_keepalives_count":                "3",
}

// connectorTo makes connections with sessionSettings, where the URL does not
// say otherwise.
func connectorTo(url string) (*pq.Connector, error) {
	config, err := pq.NewConfig(url)
	if err != nil {
		return nil, err
	}
	settings := maps.Clone(sessionSettings)
	maps.Copy(settings, config.Runtime)
	config.Runtime = settings
	return pq.NewConnectorConfig(config)
}

// Close ends all connections.
func (s *Store) Close() error { return errors.Join(s.DB.Close(), s.searching.Close()) }

// Epoch is the random name of this database, the first part of its cursors. A
// backup that is restored while the program runs has another one.
func (s *Store) Epoch() string {
	s.epochMu.Lock()
	defer s.epochMu.Unlock()
	return s.epoch
}

// OnNewEpoch has do called when a room is read from a database with another
// epoch than before: nothing that is remembered of the old one holds in the new
// one. No read that found the new epoch returns before do has; do must not ask
// for the Epoch.
func (s *Store) OnNewEpoch(do func()) {
	s.epochMu.Lock()
	defer s.epochMu.Unlock()
	s.newEpoch = do
}

// OnCommit has do called after each commit of Say, with how many posts it
// took. It is set before the first of them.
func (s *Store) OnCommit(do func(posts int)) { s.committed = do }

// sawEpoch notes the epoch that a room was read with.
func (s *Store) sawEpoch(epoch string) {
	s.epochMu.Lock()
	defer s.epochMu.Unlock()
	if epoch == s.epoch {
		return
	}
	s.epoch = epoch
	if s.newEpoch != nil {
		s.newEpoch()
	}
}

// Now is the program's one clock. It decides no order.
func (s *Store) Now() time.Time { return s.now() }

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.DB.PingContext(ctx) }

// steadyPlans has Postgres plan a prepared statement once, by index. Left to
// itself it plans many of ours afresh at each execution, which takes longer than
// running them; or keeps a plan to read the whole table, from when that was
// small. All statements of the Store have an index to go by.
const steadyPlans = `set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set jit = off`

// steady makes connections with settings such as steadyPlans.
type steady struct {
	driver.Connector
	settings string
}

func (c steady) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.(driver.ExecerContext).ExecContext(ctx, c.settings, nil); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// answerWithin is how long Postgres may take for an answer. A server that is
// frozen, or a network that swallows everything, is away after that; ending
// the query's context would not help, since the driver waits for the server to
// confirm it.
const answerWithin = 10 * time.Second

// dialer connects to Postgres with a limit for each read.
type dialer struct {
	net.Dialer
	answerWithin time.Duration
}

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.answerWithin)
	defer cancel()
	conn, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return answering{conn, d.answerWithin}, nil
}

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// answering is a connection on which every read has a limit.
type answering struct {
	net.Conn
	within time.Duration
}

func (c answering) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.within)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// IsUnfit tells whether Postgres refused a value that came with a request: a
// text that has NUL or is no UTF-8, a number that is too large for its column.
func IsUnfit(err error) bool {
	var pqErr *pq.Error
	return errors.As(err, &pqErr) && (pqErr.Code == "22021" || pqErr.Code == "22003")
}

// IsAway tells whether the error means that the database could not be
// reached or is stopping, so that trying again later makes sense.
func IsAway(err error) bool {
	var netErr net.Error
	var pqErr *pq.Error
	switch {
	case errors.As(err, &pqErr):
		if pqErr.Fatal() { // it ended the session, or refused one: its disk is full, say
			return true
		}
		switch pqErr.Code.Class() {
		case "08", "53", "57", "58": // connection, resources, operator, system
			return true
		}
		return pqErr.Code == "25006" // read-only: a standby, or a fail-over under way
	case errors.As(err, &netErr), errors.Is(err, ErrAway), errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return true
	}
	return false
}

// mostTries and longestTry bound what is tried again at once. What took long
// would take long again.
const (
	mostTries  = 4
	longestTry = time.Second
)

// again runs what may be repeated, and repeats it a few times while the
// database is away for a moment (after a restart of Postgres every pooled
// connection fails once), and where it was rolled back for the sake of others.
func again(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		began := time.Now()
		err := do()
		if err == nil || !IsAway(err) && !isRolledBack(err) || try == mostTries || time.Since(began) > longestTry || ctx.Err() != nil {
			return err
		}
		time.Sleep(time.Duration(20*try) * time.Millisecond)
	}
}

// isRolledBack tells whether Postgres ended a transaction for the sake of
// others (class 40: a deadlock).
func isRolledBack(err error) bool {
	var pqErr *pq.Error
	return errors.As(err, &pqErr) && pqErr.Code.Class() == "40"
}

// inTx runs the function in one transaction, and afresh in another where
// Postgres rolled it back for the sake of others.
func (s *Store) inTx(ctx context.Context, do func(*sqlx.Tx) error) error {
	for try := 1; ; try++ {
		err := s.inOneTx(ctx, do)
		if try == mostTries || !isRolledBack(err) {
			return err
		}
	}
}

func (s *Store) inOneTx(ctx context.Context, do func(*sqlx.Tx) error) error {
	tx, err := s.DB.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // without effect once committed
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// isUnique names the violated unique constraint, or "".
func isUnique(err error) string {
	var pqErr *pq.Error
	if errors.As(err, &pqErr) && pqErr.Code == "23505" {
		return pqErr.Constraint
	}
	return ""
}
