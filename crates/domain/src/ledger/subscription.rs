//! What is kept of one subscriber × template besides its entries. Read by the forecast, the campaigns and the API.

use crate::coded::coded;

coded! {
    /// What the person said last, by the CreateTime of the event.
    #[derive(Default)]
    pub enum Status: "subscription status" {
        /// No event yet.
        #[default]
        Unknown = 0, "unknown";
        /// Accepted.
        Accept = 1, "accept";
        /// Refused, in the popup or in the settings.
        Reject = 2, "reject";
    }
}

coded! {
    /// The kind of a template, by WeChat's own number.
    pub enum TemplateKind: "template type" {
        /// 一次性订阅: each accept is the right to one message.
        OneTime = 2, "one_time";
        /// 长期订阅: an accept holds until it is taken back; there is nothing to count.
        LongTerm = 3, "long_term";
    }
}

/// One subscriber × template. The default is that of a person without any record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscription {
    /// What the person said last.
    pub status: Status,
    /// CreateTime (ms) of the event that set the status; 0 where there was none.
    pub status_at: i64,
    /// Grants left: the sum of the ledger entries, never negative.
    pub balance: i64,
    /// Whether the balance is certain. It is not where part of it was imported, nor where nothing but sends has been
    /// seen of the person: campaigns try these, and refuse only a known 0.
    pub known: bool,
    /// The latest `act_at` of what added grants (event, report, import, adjustment), ms; 0 where nothing did. By this
    /// `Account::needs_past` tells that an act is newer than all there is, so that no history need be read.
    pub last_grant_at: i64,
    /// CreateTime (ms) of the latest refusal in the settings; grants won up to here are taken.
    pub refused_at: i64,
    /// How many `found` entries no late event has explained yet.
    pub found_open: i32,
}

/// Grants that no open message has a claim on: `balance − open messages`, at least 0.
///
/// `open_messages` counts the messages to this subscriber and template that are
/// [open](crate::message::State::is_open).
pub fn available(balance: i64, open_messages: i64) -> i64 {
    balance.saturating_sub(open_messages).max(0)
}

/// How a subscriber stands with a template when something is to be sent: the classes of a forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// A grant is free (or a long-term template is accepted).
    Reachable,
    /// What is left is not certain: only trying tells.
    Unverified,
    /// Every grant is taken by messages under way.
    Reserved,
    /// There were grants; all are spent.
    Spent,
    /// The person refused.
    Refused,
    /// Nothing is known of a grant.
    NoRecord,
}

impl Subscription {
    /// How it stands, with so many messages under way.
    pub fn standing(&self, kind: TemplateKind, open_messages: i64) -> Standing {
        match kind {
            TemplateKind::LongTerm => match self.status {
                Status::Accept => Standing::Reachable,
                Status::Reject => Standing::Refused,
                Status::Unknown => Standing::Unverified,
            },
            TemplateKind::OneTime if available(self.balance, open_messages) > 0 => Standing::Reachable,
            TemplateKind::OneTime if self.balance > 0 => Standing::Reserved,
            TemplateKind::OneTime if !self.known => Standing::Unverified,
            TemplateKind::OneTime if self.status == Status::Reject => Standing::Refused,
            TemplateKind::OneTime if self.status == Status::Unknown && self.last_grant_at == 0 => {
                Standing::NoRecord
            }
            TemplateKind::OneTime => Standing::Spent,
        }
    }
}
