-- Uploaded sheets: docs/adr/0005-uploads.md.
create table upload (
    id bytea not null primary key,
    app bigint not null,
    -- The file's name, as its owner calls it.
    name text not null,
    -- The file, as long as it may have to be read again.
    file bytea,
    -- How it is to be read (sheet, columns, decisions) and what was found, both as JSON.
    asked text not null,
    found text not null,
    -- Its rows, as a list of recipients.
    list bytea not null,
    created_by text not null,
    created_at bigint not null
);

-- The number that the reader of the sheet sees beside the row; several lines may stand for one row.
alter table recipient add column sheet_row bigint;
