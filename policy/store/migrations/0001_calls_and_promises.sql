-- Times are nanoseconds since 1970, UTC.

-- One row a call. record is the JSON that /api/calls and the JSON lines show;
-- the other columns are what it is looked up by.
CREATE TABLE calls (
    id          TEXT PRIMARY KEY,
    call_id     TEXT NOT NULL,
    invite_at   INTEGER NOT NULL,
    from_number TEXT NOT NULL,
    class       TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    record      TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX calls_by_time    ON calls (invite_at);
CREATE INDEX calls_by_number  ON calls (from_number, invite_at);
CREATE INDEX calls_by_class   ON calls (class, invite_at);
CREATE INDEX calls_by_call_id ON calls (call_id);

-- One row a callback owed or once owed.
CREATE TABLE promises (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    number      TEXT NOT NULL,
    destination TEXT NOT NULL,
    call_id     TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('open', 'dialing', 'joined', 'failed', 'cancelled', 'expired')),
    promised_at INTEGER NOT NULL,
    not_before  INTEGER NOT NULL,
    lease_until INTEGER,            -- while dialing: when the claim lapses
    claims      INTEGER NOT NULL DEFAULT 0, -- how often claimed; a claim holds only while this is its number
    attempts    INTEGER NOT NULL DEFAULT 0, -- claims that may have rung a phone
    cancel_at   INTEGER,            -- cancelled while dialing: no attempt after this one
    ended_at    INTEGER
);

-- One open promise a number, whoever asks and from whichever process.
CREATE UNIQUE INDEX promises_one_open ON promises (number) WHERE state IN ('open', 'dialing');
CREATE INDEX promises_by_state  ON promises (state, promised_at);
CREATE INDEX promises_by_number ON promises (number, promised_at);

-- One row an attempt that was made.
CREATE TABLE attempts (
    promise_id INTEGER NOT NULL REFERENCES promises (id) ON DELETE CASCADE,
    at         INTEGER NOT NULL,
    outcome    TEXT NOT NULL,
    detail     TEXT NOT NULL,
    call_id    TEXT NOT NULL
);

CREATE INDEX attempts_by_promise ON attempts (promise_id, at);
