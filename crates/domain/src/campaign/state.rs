//! The states of a campaign and the table of what leads from one to the other.

use crate::coded::coded;

coded! {
    /// Where a campaign stands. The codes are stored; they never change their meaning.
    pub enum CampaignState: "campaign state" {
        /// Being written; nothing is sent.
        Draft = 1, "draft";
        /// Somebody else has to say yes first.
        AwaitingApproval = 2, "awaiting_approval";
        /// Started, and its time has not come.
        Scheduled = 3, "scheduled";
        /// Being sent.
        Running = 4, "running";
        /// Stands still; nothing is sent.
        Paused = 5, "paused";
        /// What waits is being taken out of the queue; calls under way end.
        Cancelling = 6, "cancelling";
        /// Ended before everything was sent.
        Cancelled = 7, "cancelled";
        /// Every recipient has an outcome.
        Finished = 8, "finished";
    }
}

coded! {
    /// What is done to a campaign.
    pub enum Act: "campaign act" {
        /// Somebody starts it, and nobody else is asked; its time has come.
        Start = 1, "start";
        /// Somebody starts it; its time comes later.
        Schedule = 2, "schedule";
        /// Somebody starts it, and somebody else has to approve.
        AskApproval = 3, "ask_approval";
        /// Somebody else approves; its time has come.
        Approve = 4, "approve";
        /// Somebody else approves; its time comes later.
        ApproveScheduled = 5, "approve_scheduled";
        /// Approval is denied, or the creator takes the request back.
        Withdraw = 6, "withdraw";
        /// Its time has come.
        Due = 7, "due";
        /// Somebody (or too many errors) stops it for now.
        Pause = 8, "pause";
        /// It goes on.
        Resume = 9, "resume";
        /// It goes on, and its time has not come yet.
        ResumeScheduled = 10, "resume_scheduled";
        /// Somebody ends it.
        Cancel = 11, "cancel";
        /// Nothing waits and nothing is being sent any more.
        End = 12, "end";
        /// What was not sent is tried again.
        ResendFailed = 13, "resend_failed";
    }
}

/// The act is not possible in this state. For the API this is 409 `wrong_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a campaign that is {state} allows no {act}")]
pub struct Wrong {
    /// Where the campaign stands.
    pub state: CampaignState,
    /// What was refused.
    pub act: Act,
}

/// What becomes of a campaign when something is done to it.
///
/// # Errors
/// [`Wrong`] where the table has no such step; the campaign stays as it is.
pub fn act(state: CampaignState, act: Act) -> Result<CampaignState, Wrong> {
    use Act as A;
    use CampaignState as S;
    Ok(match (state, act) {
        (S::Draft, A::Start) => S::Running,
        (S::Draft, A::Schedule) => S::Scheduled,
        (S::Draft, A::AskApproval) => S::AwaitingApproval,
        (S::AwaitingApproval, A::Approve) => S::Running,
        (S::AwaitingApproval, A::ApproveScheduled) => S::Scheduled,
        (S::AwaitingApproval, A::Withdraw) => S::Draft,
        (S::Scheduled, A::Due) => S::Running,
        (S::Scheduled | S::Running, A::Pause) => S::Paused,
        (S::Paused, A::Resume) => S::Running,
        (S::Paused, A::ResumeScheduled) => S::Scheduled,
        (S::Scheduled | S::Running | S::Paused, A::Cancel) => S::Cancelling,
        // Nothing was made of it yet.
        (S::AwaitingApproval, A::Cancel) => S::Cancelled,
        (S::Running, A::End) => S::Finished,
        (S::Cancelling, A::End) => S::Cancelled,
        (S::Finished, A::ResendFailed) => S::Running,
        (state, act) => return Err(Wrong { state, act }),
    })
}

impl CampaignState {
    /// Whether its messages may be sent now.
    pub const fn sends(self) -> bool {
        matches!(self, CampaignState::Running)
    }

    /// Whether the engine has something to do for it.
    pub const fn is_under_way(self) -> bool {
        matches!(
            self,
            CampaignState::Scheduled
                | CampaignState::Running
                | CampaignState::Paused
                | CampaignState::Cancelling
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_be_reached_and_only_the_last_ones_stay() {
        let mut seen = vec![CampaignState::Draft];
        let mut at = 0;
        while at < seen.len() {
            let from = seen[at];
            for next in Act::ALL.iter().filter_map(|step| act(from, *step).ok()) {
                if !seen.contains(&next) {
                    seen.push(next);
                }
            }
            at += 1;
        }
        assert_eq!(seen.len(), CampaignState::ALL.len());
        for state in CampaignState::ALL {
            let ways = Act::ALL.iter().filter(|step| act(*state, **step).is_ok()).count();
            assert_eq!(ways == 0, *state == CampaignState::Cancelled, "{state}");
        }
    }

    #[test]
    fn a_cancelled_campaign_never_sends_again() {
        for step in Act::ALL {
            assert!(act(CampaignState::Cancelled, *step).is_err());
            assert_ne!(act(CampaignState::Cancelling, *step), Ok(CampaignState::Running));
        }
    }
}
