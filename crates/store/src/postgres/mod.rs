//! PostgreSQL: not written yet.
