-- People sign in, and leads see how things go over time.

CREATE TABLE users (
    name        TEXT    PRIMARY KEY,
    role        TEXT    NOT NULL CHECK (role IN ('agent','lead','admin')),
    password    TEXT,                            -- Argon2id, as a PHC string; none: not chosen yet
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER,
    seen_at     INTEGER                          -- signed in last
) STRICT;

-- Links by which somebody chooses a password: only their hashes.
CREATE TABLE invitations (
    hash      BLOB    PRIMARY KEY,
    user_name TEXT    REFERENCES users (name),   -- none: whoever comes first, as admin
    made_at   INTEGER NOT NULL,
    made_by   TEXT    NOT NULL,
    until     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX invitations_user ON invitations (coalesce(user_name, ''));

-- Who is signed in: only hashes of what the browser holds.
CREATE TABLE sessions (
    hash       BLOB    PRIMARY KEY,
    user_name  TEXT    NOT NULL REFERENCES users (name),
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    until      INTEGER NOT NULL                  -- at the latest
) STRICT;
CREATE INDEX sessions_user ON sessions (user_name);
CREATE INDEX sessions_until ON sessions (until);

-- Failed attempts to sign in, by name and by address.
CREATE TABLE sign_ins (
    key      TEXT    PRIMARY KEY,                -- a hash: what was typed may be a password
    failures INTEGER NOT NULL,
    last_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_ins_last ON sign_ins (last_at);

-- How far the tallies had come, every ten minutes and every day: two of them tell
-- what happened in between. No text but the names of what is counted.
CREATE TABLE samples (
    span INTEGER NOT NULL CHECK (span IN (600000, 86400000)),
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (span, at, name)
) STRICT, WITHOUT ROWID;

-- A classification as a person corrected it, as JSON.
ALTER TABLE reviews ADD COLUMN route TEXT;
