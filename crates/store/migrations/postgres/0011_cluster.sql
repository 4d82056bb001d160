-- Many nodes over one database: docs/adr/0009-clusters.md.
-- Whose turn it is to change a lane's accounts and states; `lane` itself is only ever touched for a moment.
create table lane_turn (
    id smallint not null primary key
);

-- The nodes that serve this database, each since its start.
create table node (
    id text not null primary key,
    -- What an operator calls it: the host, or what was configured.
    name text not null,
    -- web, worker or all.
    role text not null,
    version text not null,
    started_at bigint not null,
    seen_at bigint not null,
    -- It takes no lanes any more and gives back those that it has.
    leaving boolean not null
);

-- What one node does at a time: whose it is, and until when, on the database's clock.
create table duty (
    name text not null primary key,
    holder text not null,
    until bigint not null
);

create index campaign_lane_campaign on campaign_lane (campaign);
