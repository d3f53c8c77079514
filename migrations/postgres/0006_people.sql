-- People sign in, and leads see how things go over time.

CREATE TABLE users (
    name TEXT COLLATE "C" PRIMARY KEY,
    role TEXT COLLATE "C" NOT NULL CHECK (role IN ('agent','lead','admin')),
    password TEXT COLLATE "C", -- Argon2id, as a PHC string; none: not chosen yet
    created_at BIGINT NOT NULL,
    disabled_at BIGINT,
    seen_at BIGINT -- signed in last
);

-- Links by which somebody chooses a password: only their hashes.
CREATE TABLE invitations (
    hash BYTEA PRIMARY KEY,
    user_name TEXT COLLATE "C" REFERENCES users (name), -- none: whoever comes first, as admin
    made_at BIGINT NOT NULL,
    made_by TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL
);
CREATE UNIQUE INDEX invitations_user ON invitations (coalesce(user_name, ''));

-- Who is signed in: only hashes of what the browser holds.
CREATE TABLE sessions (
    hash BYTEA PRIMARY KEY,
    user_name TEXT COLLATE "C" NOT NULL REFERENCES users (name),
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    until BIGINT NOT NULL -- at the latest
);
CREATE INDEX sessions_user ON sessions (user_name);
CREATE INDEX sessions_until ON sessions (until);

-- Failed attempts to sign in, by name and by address.
CREATE TABLE sign_ins (
    key TEXT COLLATE "C" PRIMARY KEY, -- a hash: what was typed may be a password
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX sign_ins_last ON sign_ins (last_at);

-- How far the tallies had come, every ten minutes and every day: two of them tell
-- what happened in between. No text but the names of what is counted.
CREATE TABLE samples (
    span BIGINT NOT NULL CHECK (span IN (600000, 86400000)),
    at BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (span, at, name)
);

-- A classification as a person corrected it, as JSON.
ALTER TABLE reviews ADD COLUMN route TEXT COLLATE "C";
