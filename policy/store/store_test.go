package store

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/portero/portero/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is far ahead, where the retention that runs on the real clock does not
// reach.
var start = time.Date(2100, 3, 1, 10, 0, 0, 123456789, time.FixedZone("CET", 3600))

func config(t *testing.T) Config {
	t.Helper()
	c := Defaults()
	c.Path = filepath.Join(t.TempDir(), "portero.db")
	return c
}

func open(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := Open(c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// full is a record with every field set.
func full(i int) Record {
	at := start.Add(time.Duration(i) * time.Minute)
	return Record{
		ID: fmt.Sprintf("p%d", i), CallID: fmt.Sprintf("c%d@carrier", i), Direction: Inbound, From: "+1555010" + fmt.Sprint(i%3), To: "100",
		Trunk: "carrier", Source: "192.0.2.1:5060", Transport: "udp", Mode: policy.Enforce,
		InviteAt: At(at), RingingAt: At(at.Add(time.Second)), AnsweredAt: At(at.Add(2 * time.Second)), EndedAt: At(at.Add(time.Minute)),
		FinalCode: 200, Outcome: Answered, EndedBy: ByCaller,
		Far:         []FarLeg{{Destination: "agents", URI: "sip:100@192.0.2.9", CallID: "f1", AnsweredAt: At(at.Add(2 * time.Second)), Code: 200}},
		CallerMedia: Media{Packets: 1000, Lost: 3, JitterMS: 1.25, Codec: "PCMU", Latched: "192.0.2.1:4000"},
		FarMedia:    Media{Packets: 990, Dropped: 1}, AnalysisDropped: 2, Digits: 4,
		Fingerprint: Fingerprint{ID: "ab12", Text: "x", Stack: "pjsip", UserAgent: "ua"},
		Verdicts: []policy.Verdict{
			{At: at.Add(time.Second), Class: policy.Unknown, PMachine: .5},
			{At: at.Add(9 * time.Second), Class: policy.Assistant, PMachine: .97, Evidence: []policy.Evidence{{Name: "sig.automata", LLR: 3, Says: "says so itself"}}},
		},
		Decisions: []RecordedDecision{{Decision: policy.Decision{At: at, Stage: policy.Arrival, Rule: "r", Action: policy.ToAgents, Destination: "agents", Reason: "P200-r"}, Enforced: true, Outcome: "200"}},
		Errors:    []string{"e"},
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRecordComesBackWhole(t *testing.T) {
	c := config(t)
	c.JSONLines = filepath.Join(t.TempDir(), "calls.jsonl")
	s := open(t, c)
	want := full(1)
	s.Put(want)
	want.Verdicts[0].Class = "changed after Put" // the call goes on owning its slices
	s.Put(Record{ID: "p2", CallID: "c2"})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want = full(1).canonical()

	s = open(t, c)
	for _, id := range []string{"p1", "c1@carrier"} {
		got, err := s.Call(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		if asJSON(t, got) != asJSON(t, want) {
			t.Errorf("by %s:\n got %s\nwant %s", id, asJSON(t, got), asJSON(t, want))
		}
	}
	bare, err := s.Call(context.Background(), "p2")
	if err != nil {
		t.Fatal(err)
	}
	if text := asJSON(t, bare); !strings.Contains(text, `"answered_at":null`) || !strings.Contains(text, `"far":[]`) || strings.Contains(text, "0001-01-01") {
		t.Errorf("absent times must be null, lists never: %s", text)
	}
	if text := asJSON(t, want); !strings.Contains(text, `"invite_at":"2100-03-01T09:01:00.123456789Z"`) || strings.Contains(text, "+01:00") {
		t.Errorf("times must be UTC with nanoseconds: %s", text)
	}

	f, err := os.Open(c.JSONLines)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Scan()
	if sc.Text() != asJSON(t, want) {
		t.Errorf("first JSON line\n got %s\nwant %s", sc.Text(), asJSON(t, want))
	}
	if sc.Scan(); !strings.Contains(sc.Text(), `"id":"p2"`) || sc.Scan() {
		t.Errorf("second and last line is %q, want p2", sc.Text())
	}
	if _, err := s.Call(context.Background(), "p9"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown id gives %v, want ErrNotFound", err)
	}
}

func TestCallsFilter(t *testing.T) {
	c := config(t)
	s := open(t, c)
	for i := range 9 {
		r := full(i)
		if i%2 == 0 {
			r.Verdicts = nil
		}
		s.Put(r)
	}
	s.Close()
	s = open(t, c)
	min := func(i int) time.Time { return start.Add(time.Duration(i) * time.Minute) }
	for _, tt := range []struct {
		name string
		f    Filter
		want string
	}{
		{"all, newest first", Filter{}, "8 7 6 5 4 3 2 1 0"},
		{"limit", Filter{Limit: 2}, "8 7"},
		{"since includes", Filter{Since: min(7)}, "8 7"},
		{"until excludes", Filter{Until: min(2)}, "1 0"},
		{"from", Filter{From: "+15550101"}, "7 4 1"},
		{"class", Filter{Class: policy.Assistant}, "7 5 3 1"},
		{"no verdict is unknown", Filter{Class: policy.Unknown, Since: min(5)}, "8 6"},
		{"all at once", Filter{From: "+15550101", Class: policy.Assistant, Since: min(2), Until: min(9), Limit: 5}, "7"},
		{"an argument is no SQL", Filter{From: "x' OR '1'='1"}, ""},
		{"an absurd limit is bounded", Filter{Limit: 1 << 40}, "8 7 6 5 4 3 2 1 0"},
	} {
		got, err := s.Calls(context.Background(), tt.f)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var ids []string
		for _, r := range got {
			ids = append(ids, strings.TrimPrefix(r.ID, "p"))
		}
		if strings.Join(ids, " ") != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, ids, tt.want)
		}
	}
}

func TestSweepKeepsWhatIsYoungOrOwed(t *testing.T) {
	c := config(t)
	c.RetentionDays = 2
	s := open(t, c)
	now := start.Add(100 * 24 * time.Hour)
	young := full(1)
	young.InviteAt = At(now.Add(-47 * time.Hour))
	s.Put(young)
	for i := range sweepChunk + 10 {
		r := full(2 + i)
		r.InviteAt = At(now.Add(-49*time.Hour - time.Duration(i)*time.Second))
		s.Put(r)
	}
	ctx := context.Background()
	owed, _, err := s.Promise(ctx, "+15550100", "c", "agents", start)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Promise(ctx, "+15550101", "c", "agents", start); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cancel(ctx, "+15550101", start); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return s.Health().Written == sweepChunk+11 })
	if err := s.Sweep(ctx, now); err != nil {
		t.Fatal(err)
	}
	calls, _ := s.Calls(ctx, Filter{})
	if len(calls) != 1 || calls[0].ID != "p1" {
		t.Errorf("%d calls are left, want the young one alone", len(calls))
	}
	if left, _ := s.List(ctx); len(left) != 1 || left[0].ID != owed.ID {
		t.Errorf("promises left: %v, want the owed one alone", left)
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("waited in vain")
}

// A database that another process holds locked stands for every disk that does
// not answer: records wait, Put does not, and afterwards nothing is missing.
func TestRecordsOutliveALockedDatabase(t *testing.T) {
	c := config(t)
	c.JSONLines = filepath.Join(t.TempDir(), "calls.jsonl")
	s := open(t, c)
	other, err := openDatabase(context.Background(), c.Path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	tx, err := other.write.Begin() // takes the write lock
	if err != nil {
		t.Fatal(err)
	}
	const n = 600
	began := time.Now()
	for i := range n {
		s.Put(full(i))
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("Put waited for the disk: %d took %v", n, took)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return s.Health().Written == n })
	if h := s.Health(); !h.OK || h.Dropped != 0 {
		t.Errorf("health is %+v", h)
	}
}

func TestBrokenStoreLosesRecordsNotCalls(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	c := config(t)
	c.Queue = 16
	c.JSONLines = filepath.Join(t.TempDir(), "calls.jsonl")
	s, err := Open(c, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.write.Exec("DROP TABLE calls"); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		s.Put(full(i))
		waitFor(t, func() bool { return len(s.queue) == 0 })
	}
	waitFor(t, func() bool { return s.Health().Dropped == 40-16 })
	h := s.Health()
	if h.OK || h.Written != 0 || h.Errors < 25 || h.Last == "" || h.LastAt.IsZero() {
		t.Errorf("health is %+v", h)
	}
	if n := logs.Len(); n != 1 {
		t.Errorf("%d log lines within a second, want 1: the rest is sampled away", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Put(full(99)) // must not panic
	if h := s.Health(); h.Dropped != 41 {
		t.Errorf("%d records dropped in the end, want all 41", h.Dropped)
	}
	b, err := os.ReadFile(c.JSONLines)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n != 40 {
		t.Errorf("%d JSON lines, want all 40 whatever SQLite does", n)
	}
}

// A queue that is shorter than what comes while records wait for each other
// loses none: it is for a disk that fails.
func TestShortQueueLosesNothing(t *testing.T) {
	c := config(t)
	c.Queue = 16
	s := open(t, c)
	for i := range 200 {
		s.Put(full(i))
		waitFor(t, func() bool { return len(s.queue) == 0 })
	}
	waitFor(t, func() bool { return s.Health().Written == 200 })
	if h := s.Health(); h.Dropped != 0 || !h.OK {
		t.Errorf("health is %+v", h)
	}
}

func TestQueueIsBounded(t *testing.T) {
	c := config(t)
	c.Queue = 16
	s := &Store{cfg: c, queue: make(chan Record, c.Queue)} // nobody writes
	s.ill.log = zap.NewNop()
	for i := range 20 {
		s.Put(full(i))
	}
	if h := s.Health(); h.Dropped != 4 || h.Queued != 16 {
		t.Errorf("health is %+v, want 16 queued and 4 dropped", h)
	}
}

func TestNaNCostsTheVerdictsOnly(t *testing.T) {
	s := open(t, config(t))
	r := full(1)
	r.Verdicts[1].Evidence[0].LLR = math.NaN()
	s.Put(r)
	waitFor(t, func() bool { return s.Health().Written == 1 })
	got, err := s.Call(context.Background(), "p1")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Verdicts) != 0 || len(got.Errors) != 2 || !strings.Contains(got.Errors[1], "NaN") {
		t.Errorf("verdicts %v, errors %v", got.Verdicts, got.Errors)
	}
}

func TestJSONLinesFollowRotation(t *testing.T) {
	dir := t.TempDir()
	l := lines{path: filepath.Join(dir, "calls.jsonl")}
	defer l.close()
	for i, text := range []string{"a\n", "b\n", "c\n"} {
		if i == 2 {
			if err := os.Rename(l.path, l.path+".1"); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"calls.jsonl": "c\n", "calls.jsonl.1": "a\nb\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, want)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	newer := filepath.Join(dir, "newer.db")
	db, err := openDatabase(context.Background(), newer, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.write.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	db.close()
	plain := write("plain", "")
	for _, tt := range []struct {
		name string
		c    Config
		want string
	}{
		{"a directory", Config{Path: dir}, "set store.path"},
		{"below a file", Config{Path: filepath.Join(plain, "x.db")}, "set store.path"},
		{"no SQLite", Config{Path: write("text.db", strings.Repeat("this is no database ", 100))}, "not a database"},
		{"a newer schema", Config{Path: newer}, "version 99"},
		{"lines in a directory", Config{Path: filepath.Join(dir, "a.db"), JSONLines: dir}, "set store.json_lines"},
	} {
		tt.c.Queue = 16
		s, err := Open(tt.c, zap.NewNop())
		if err == nil {
			s.Close()
			t.Errorf("%s: no error", tt.name)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %q lacks %q", tt.name, err, tt.want)
		}
	}
	if _, err := OpenPromises(context.Background(), Config{Path: filepath.Join(dir, "none.db")}); !errors.Is(err, ErrNoStore) {
		t.Errorf("promises of no store: %v, want ErrNoStore", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
		t.Error("OpenPromises made a file")
	}
}

// A path is a name, not a set of SQLite options, whatever is in it.
func TestOddPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"plain.db", "./dot.db", "a ?mode=memory&_pragma=x#y%41.db", "sub/ünder.db", "//" + strings.TrimPrefix(t.TempDir(), "/") + "/abs.db"} {
		c := Defaults()
		c.Path = name
		s, err := Open(c, zap.NewNop())
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		s.Close()
		fi, err := os.Stat(name)
		if err != nil || fi.Size() == 0 {
			t.Errorf("%q: the database is not at its path: %v", name, err)
		} else if fi.Mode().Perm() != 0o600 {
			t.Errorf("%q: mode %v, want 0600: it holds telephone numbers", name, fi.Mode())
		}
	}
}

func TestConfigCheck(t *testing.T) {
	for _, tt := range []struct {
		name  string
		c     Config
		wants []string // paths
	}{
		{"defaults", Defaults(), nil},
		{"zero", Config{}, []string{"path", "retention_days", "queue"}},
		{"memory", Config{Path: ":memory:", RetentionDays: 1, Queue: 16}, []string{"path"}},
		{"uri", Config{Path: "file:x", RetentionDays: 3650, Queue: 1e6}, []string{"path"}},
		{"one file for both", Config{Path: "/a/b", JSONLines: "/a/./b", RetentionDays: 1, Queue: 16}, []string{"json_lines"}},
		{"directories", Config{Path: "/a/", JSONLines: "/b/", RetentionDays: 1, Queue: 16}, []string{"path", "json_lines"}},
		{"too much", Config{Path: "a", JSONLines: "-", RetentionDays: 3651, Queue: 1e6 + 1}, []string{"retention_days", "queue"}},
	} {
		var got []string
		tt.c.Check(func(path, format string, args ...any) { got = append(got, path) })
		if fmt.Sprint(got) != fmt.Sprint(tt.wants) {
			t.Errorf("%s: faults at %v, want %v", tt.name, got, tt.wants)
		}
	}
}

func TestOutcomeOf(t *testing.T) {
	for _, tt := range []struct {
		code      int
		cancelled bool
		want      Outcome
	}{
		{200, false, Answered}, {200, true, Answered}, {487, false, Cancelled}, {408, true, Cancelled}, {0, true, Cancelled},
		{486, false, Busy}, {600, false, Busy}, {603, false, Declined}, {401, false, AuthFailed}, {407, false, AuthFailed},
		{302, false, Redirected}, {404, false, Failed}, {503, false, Failed}, {604, false, Failed}, {0, false, NoFinal}, {180, false, NoFinal},
	} {
		if got := OutcomeOf(tt.code, tt.cancelled); got != tt.want {
			t.Errorf("OutcomeOf(%d, %v) = %s, want %s", tt.code, tt.cancelled, got, tt.want)
		}
	}
}

func TestTimeJSON(t *testing.T) {
	for _, bad := range []string{`"yesterday"`, `1`, `{}`, `"2026-03-01"`} {
		var u Time
		if err := json.Unmarshal([]byte(bad), &u); err == nil {
			t.Errorf("%s was read as %v", bad, u)
		}
	}
	u := Time{start}
	if err := json.Unmarshal([]byte("null"), &u); err != nil || !u.IsZero() {
		t.Errorf("null gives %v, %v", u, err)
	}
}

func BenchmarkPut(b *testing.B) {
	c := Defaults()
	c.Path = filepath.Join(b.TempDir(), "portero.db")
	c.Queue = 1_000_000
	s, err := Open(c, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := range b.N {
		r := full(i)
		r.ID, r.CallID = rand.Text(), rand.Text() // they come in no order
		s.Put(r)
	}
	s.Close() // the time of writing all is in the figure
	if h := s.Health(); h.Written != uint64(b.N) {
		b.Fatalf("health is %+v", h)
	}
}

// A database of an older schema keeps its records.
func TestMigrate(t *testing.T) {
	c := Defaults()
	c.Path = filepath.Join(t.TempDir(), "portero.db")
	first, err := migrations.ReadFile("migrations/0001_calls_and_promises.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", c.Path)
	if err != nil {
		t.Fatal(err)
	}
	old := full(1)
	text, err := json.Marshal(old)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct {
		query string
		args  []any
	}{
		{string(first), nil},
		{"PRAGMA user_version = 1", nil},
		{"INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?)", []any{old.ID, old.CallID, old.InviteAt.UnixNano(), old.From, "unknown", "answered", string(text)}},
	} {
		if _, err := db.Exec(q.query, q.args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithCancel(t.Context()) // however long it takes
	cancel()
	if d, err := openDatabase(late, c.Path, true); err != nil {
		t.Fatal(err)
	} else if err := d.close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if r, err := s.Call(t.Context(), old.CallID); err != nil || r.ID != old.ID || r.From != old.From {
		t.Errorf("the record is %+v, %v", r, err)
	}
}
