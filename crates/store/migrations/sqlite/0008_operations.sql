-- Campaigns that recur, budgets, webhooks out: docs/adr/0006-operations.md.
create table schedule (
    number integer not null primary key autoincrement,
    id blob not null unique,
    app bigint not null,
    name text not null,
    cron text not null,
    time_zone text not null,
    -- The campaign, as it would be asked for.
    campaign text not null,
    -- Started at most so many minutes late; null: however late.
    late_minutes bigint,
    enabled boolean not null,
    next_at bigint,
    last_at bigint,
    last_campaign blob,
    -- started, awaiting_approval, missed, or the code of what went wrong.
    last_result text,
    created_by text not null,
    created_at bigint not null,
    updated_at bigint not null
);

-- Calls that an app has taken of its budget on a day.
create table app_day (
    app bigint not null,
    day text not null,
    calls bigint not null,
    primary key (app, day)
) without rowid;

create table webhook (
    number integer not null primary key autoincrement,
    id blob not null unique,
    -- Null: of every app.
    app bigint,
    url text not null,
    -- Kinds of events, a JSON array; message.* takes all of a sort.
    events text not null,
    note text,
    secret blob not null,
    -- Signs too until this moment, after a rotation.
    previous_secret blob,
    previous_until bigint,
    enabled boolean not null,
    disabled_because text,
    failing_since bigint,
    created_by text not null,
    created_at bigint not null
);

create table webhook_event (
    number integer not null primary key autoincrement,
    app bigint not null,
    kind text not null,
    body text not null,
    -- Null until the deliverer has seen it and knows who gets it.
    created_at bigint
);
create index webhook_event_new on webhook_event (number) where created_at is null;

create table webhook_delivery (
    webhook bigint not null,
    event bigint not null,
    -- 1: waiting, 2: delivered, 3: given up.
    state smallint not null,
    attempts bigint not null,
    due_at bigint not null,
    last_at bigint,
    last_status bigint,
    last_error text,
    primary key (webhook, event)
) without rowid;
create index webhook_delivery_due on webhook_delivery (webhook, due_at) where state = 1;

-- What a sync found different: the fields of before, as JSON, until somebody has seen it.
alter table template add column changed_from text;
alter table template add column changed_at bigint;
