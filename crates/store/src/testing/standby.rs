//! A synchronous standby, by PostgreSQL's own means: a base backup, streaming, and a promotion.

use super::postgres::TempPostgres;

/// Settings that a primary needs for a standby; commits wait for it once there is one.
pub(super) const PRIMARY: [&str; 3] = ["wal_level=replica", "max_wal_senders=8", "wal_keep_size=512MB"];

/// Waits until the standby is the one that commits wait for.
const WAIT: &str = "do $$ begin
    for try in 1..600 loop
        if exists (select from pg_stat_replication where sync_state = 'sync') then return; end if;
        perform pg_sleep(0.05);
        perform pg_stat_clear_snapshot();
    end loop;
    raise 'the standby does not follow';
end $$";

/// A server that follows another one.
#[derive(Debug)]
pub struct Standby(TempPostgres);

impl Standby {
    /// A primary (by these settings) and its standby; every commit is on both before it is answered.
    ///
    /// # Errors
    /// In words: PostgreSQL is not installed, or what it said.
    pub fn pair(settings: &[&str]) -> Result<(TempPostgres, Self), String> {
        let mut all = settings.to_vec();
        all.extend(PRIMARY);
        let primary = TempPostgres::start_tcp(&all)?;
        let standby = Self::of(&primary, settings)?;
        Ok((primary, standby))
    }

    /// Copies a running primary and follows it; from then on its commits wait for the copy.
    ///
    /// # Errors
    /// What PostgreSQL said.
    pub fn of(primary: &TempPostgres, settings: &[&str]) -> Result<Self, String> {
        let mut all = settings.to_vec();
        all.extend(PRIMARY);
        let standby = TempPostgres::new(&all, true)?;
        let (port, data) = (primary.address().port().to_string(), standby.data().display().to_string());
        let backup = [
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "hongyan",
            "-D",
            &data,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        ];
        standby.run("pg_basebackup", &backup)?;
        // What the primary says of its own standbys is copied with it: a standby has none.
        let own = standby.data().join("postgresql.auto.conf");
        let text = std::fs::read_to_string(&own).map_err(|error| error.to_string())?;
        let text: String = text
            .lines()
            .filter(|line| !line.starts_with("synchronous_standby_names"))
            .map(|line| format!("{line}\n"))
            .collect();
        std::fs::write(&own, text).map_err(|error| error.to_string())?;
        standby.start_again()?;
        primary.say("alter system set synchronous_standby_names = '*'")?;
        primary.say("select pg_reload_conf()")?;
        // Of 14 pairs 9 were given out before the standby counted as synchronous.
        primary.say(WAIT)?;
        // Commits begin to wait when the checkpointer has read the setting, which it does before it takes up a checkpoint.
        // No commit was ever seen to slip through before that; by PostgreSQL's code one could.
        primary.say("checkpoint")?;
        Ok(Self(standby))
    }

    /// Makes it a primary of its own, without a standby; the old primary must be gone.
    ///
    /// # Errors
    /// What PostgreSQL said.
    pub fn promote(&self) -> Result<(), String> {
        self.0.control("promote", &[])
    }

    /// The server.
    pub fn server(&self) -> &TempPostgres {
        &self.0
    }

    /// As a primary, after it was promoted.
    pub fn into_server(self) -> TempPostgres {
        self.0
    }
}
