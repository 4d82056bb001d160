-- Who wrote an entry by hand.
alter table ledger add column author text;
