-- People by what the team knows of them.
create table subscriber (
    lane smallint not null,
    app bigint not null,
    openid text collate "C" not null,
    external_id text,
    unionid text,
    -- JSON: an array, and an object of those attributes that are not sensitive.
    tags text not null,
    attributes text not null,
    -- The others, sealed; null where there are none.
    sensitive bytea,
    -- The rows of person_key that are this one's, as JSON: [lane, name, value in hex].
    keys text not null,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (lane, app, openid)
);

-- Finding people by external_id or a key attribute; the lane is that of app, name and value. Values of sensitive attributes are
-- keyed hashes.
create table person_key (
    lane smallint not null,
    app bigint not null,
    name text not null,
    value bytea not null,
    openid text collate "C" not null,
    primary key (lane, app, name, value, openid)
);

-- Who receives while an app is on trial.
create table guest (
    app bigint not null,
    openid text collate "C" not null,
    note text,
    created_at bigint not null,
    primary key (app, openid)
);
