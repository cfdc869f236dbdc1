-- Records in the order in which calls ended: by their random id every one went to
-- another page, and its kilobytes with it.
CREATE TABLE calls_in_order (
    id          TEXT NOT NULL UNIQUE,
    call_id     TEXT NOT NULL,
    invite_at   INTEGER NOT NULL,
    from_number TEXT NOT NULL,
    class       TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    record      TEXT NOT NULL
);

INSERT INTO calls_in_order SELECT id, call_id, invite_at, from_number, class, outcome, record FROM calls ORDER BY invite_at;
DROP TABLE calls; -- and its indexes
ALTER TABLE calls_in_order RENAME TO calls;

CREATE INDEX calls_by_time    ON calls (invite_at);
CREATE INDEX calls_by_number  ON calls (from_number, invite_at);
CREATE INDEX calls_by_class   ON calls (class, invite_at);
CREATE INDEX calls_by_call_id ON calls (call_id);
