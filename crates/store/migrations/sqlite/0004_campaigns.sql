-- Campaigns: docs/adr/0004-campaigns.md.
-- A campaign's queue is 2^40 + its number; numbers are never given twice.
create table campaign (
    number integer not null primary key autoincrement,
    id blob not null unique,
    app bigint not null,
    name text not null,
    state smallint not null,
    -- Why it stands still, where it does.
    paused_because text,
    template bigint not null,
    -- The fields with their placeholders, as a JSON object.
    data text not null,
    page text,
    version text not null,
    lang text not null,
    -- Who gets it, and everything else that was asked, as JSON.
    audience text not null,
    options text not null,
    -- Where a given list of recipients stands; a copy has the same.
    list blob,
    send_at bigint,
    expire_at bigint,
    created_by text not null,
    created_at bigint not null,
    updated_at bigint not null,
    started_by text,
    started_at bigint,
    approved_by text,
    finished_at bigint,
    -- The forecast that approval was asked with.
    forecast text,
    -- The states that are tried again, as JSON, where resend-failed was asked for.
    resend text,
    -- Where expanding stands in the list, and whether every recipient is a message.
    expanded_to bigint not null,
    expanded boolean not null
);

-- The accounts of a campaign, by lane; they are added up when they are read.
create table campaign_lane (
    campaign bigint not null,
    lane integer not null,
    recipients bigint not null,
    todo bigint not null,
    scheduled bigint not null,
    queued bigint not null,
    sending bigint not null,
    accepted bigint not null,
    delivered bigint not null,
    undelivered bigint not null,
    refused bigint not null,
    failed bigint not null,
    unknown bigint not null,
    expired bigint not null,
    cancelled bigint not null,
    skipped bigint not null,
    -- Where the walk over the subscriptions stands; null before the first, and done.
    expanded_to text,
    expanded boolean not null,
    -- The ids of its messages lie between these.
    first_id blob,
    last_id blob,
    -- Where resend-failed stands; null where none is under way.
    resent_to blob,
    primary key (campaign, lane)
) without rowid;

-- Given lists of recipients; a list is written once and never changed (but erased).
create table recipient (
    list blob not null,
    row bigint not null,
    -- openid, external_id or attribute:NAME.
    kind text not null,
    given text not null,
    -- Values for placeholders, and for the lists afterwards; a JSON object.
    vars text not null,
    primary key (list, row)
) without rowid;

alter table message add column row bigint;
alter table message_state add column campaign bigint;
-- Why it ended without an attempt.
alter table message_state add column reason text;
-- When the record came to be: who came after a campaign's start is not in its audience.
alter table subscription add column since bigint not null default 0;
