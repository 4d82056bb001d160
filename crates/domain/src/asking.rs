//! Which templates a mini program asks one person for now: those whose grants are spent, the important ones first, not too
//! soon after a refusal, five at most, of one type, none of equal title. Used by the service's `/ask`.
//!
//! It only chooses; whether the person is asked is the page's decision. Nothing is ever held back from somebody who
//! refuses: WeChat forbids to force or to reward a subscription.

use crate::Millis;
use crate::ledger::{Status, TemplateKind};

/// What one call of WeChat's takes. Source: official page "wx.requestSubscribeMessage", tmplIds.
pub const AT_ONCE: usize = 5;

/// A template that may be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its title: of equal ones WeChat keeps only one.
    pub title: String,
    /// One-time and long-term ones cannot be asked for together.
    pub kind: TemplateKind,
    /// The higher goes first.
    pub priority: i32,
    /// How long it is not asked for after a refusal, ms.
    pub cool_down: Millis,
    /// Grants that the person should have in hand.
    pub keep: u32,
}

/// How the person stands with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// What the last event said, and its CreateTime (ms).
    pub status: (Status, Millis),
    /// Grants that no message under way needs.
    pub available: i64,
    /// Whether the person ever had a grant.
    pub had: bool,
    /// What the mini program itself reported last: whether it was an accept, and when (ms).
    pub reported: Option<(bool, Millis)>,
}

/// What becomes of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is asked for.
    Ask(Why),
    /// The person has what is needed.
    Enough,
    /// The person refused lately; not before this time (ms).
    CoolDown(Millis),
    /// Another of the same title is asked for.
    SameTitle,
    /// Templates of the other type are asked for.
    OtherType,
    /// There are five already.
    NextTime,
}

/// Why a template is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Every grant is spent.
    Spent,
    /// The person never had one.
    Never,
    /// A few more are wanted in hand.
    More,
}

/// Says what becomes of each candidate, in their order.
pub fn choose(candidates: &[(Candidate, Standing)], now: Millis) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> =
        candidates.iter().map(|(candidate, standing)| alone(candidate, standing, now)).collect();
    let mut order: Vec<usize> =
        (0..candidates.len()).filter(|&at| matches!(verdicts[at], Verdict::Ask(_))).collect();
    // Whoever had grants and spent them knows what they are for.
    order
        .sort_by_key(|&at| (-i64::from(candidates[at].0.priority), verdicts[at] != Verdict::Ask(Why::Spent)));
    let Some(kind) = order.first().map(|&at| candidates[at].0.kind) else { return verdicts };
    let mut titles = Vec::with_capacity(AT_ONCE);
    for at in order {
        let candidate = &candidates[at].0;
        if candidate.kind != kind {
            verdicts[at] = Verdict::OtherType;
        } else if titles.contains(&candidate.title.as_str()) {
            verdicts[at] = Verdict::SameTitle;
        } else if titles.len() == AT_ONCE {
            verdicts[at] = Verdict::NextTime;
        } else {
            titles.push(&candidate.title);
        }
    }
    verdicts
}

fn alone(candidate: &Candidate, standing: &Standing, now: Millis) -> Verdict {
    let (status, status_at) = standing.status;
    let reported = standing.reported;
    let accepted_at = [
        (status == Status::Accept).then_some(status_at),
        reported.and_then(|(accepted, at)| accepted.then_some(at)),
    ];
    let refused_at = [
        (status == Status::Reject).then_some(status_at),
        reported.and_then(|(accepted, at)| (!accepted).then_some(at)),
    ];
    let (accepted_at, refused_at) =
        (accepted_at.into_iter().flatten().max(), refused_at.into_iter().flatten().max());
    let enough = match candidate.kind {
        TemplateKind::LongTerm => accepted_at.is_some() && accepted_at >= refused_at,
        TemplateKind::OneTime => standing.available >= i64::from(candidate.keep.max(1)),
    };
    if enough {
        return Verdict::Enough;
    }
    // A refusal that was followed by an accept is over.
    if let Some(refused_at) = refused_at.filter(|at| accepted_at.is_none_or(|accepted| accepted <= *at)) {
        let until = refused_at.saturating_add(candidate.cool_down);
        if now < until {
            return Verdict::CoolDown(until);
        }
    }
    Verdict::Ask(match (standing.had, standing.available) {
        (_, 1..) => Why::More,
        (true, _) => Why::Spent,
        (false, _) => Why::Never,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(title: &str, priority: i32) -> Candidate {
        Candidate { title: title.into(), kind: TemplateKind::OneTime, priority, cool_down: 100, keep: 1 }
    }

    fn long_term(title: &str, priority: i32) -> Candidate {
        Candidate { kind: TemplateKind::LongTerm, ..candidate(title, priority) }
    }

    fn one(candidate: Candidate, standing: Standing, now: Millis) -> Verdict {
        choose(&[(candidate, standing)], now)[0]
    }

    #[test]
    fn who_has_a_grant_is_left_in_peace_and_who_spent_it_is_asked() {
        let rich = Standing { available: 1, had: true, ..Standing::default() };
        let poor = Standing { available: 0, had: true, ..Standing::default() };
        assert_eq!(one(candidate("a", 0), rich, 0), Verdict::Enough);
        assert_eq!(one(candidate("a", 0), poor, 0), Verdict::Ask(Why::Spent));
        assert_eq!(one(candidate("a", 0), Standing::default(), 0), Verdict::Ask(Why::Never));
        assert_eq!(one(Candidate { keep: 3, ..candidate("a", 0) }, rich, 0), Verdict::Ask(Why::More));
    }

    #[test]
    fn a_refusal_is_respected_for_its_time_wherever_it_was_heard() {
        let event = Standing { status: (Status::Reject, 50), ..Standing::default() };
        let report = Standing { reported: Some((false, 50)), ..Standing::default() };
        for refused in [event, report] {
            assert_eq!(one(candidate("a", 0), refused, 149), Verdict::CoolDown(150));
            assert_eq!(one(candidate("a", 0), refused, 150), Verdict::Ask(Why::Never));
        }
        let changed =
            Standing { status: (Status::Accept, 60), reported: Some((false, 50)), ..Standing::default() };
        assert_eq!(
            one(candidate("a", 0), changed, 70),
            Verdict::Ask(Why::Never),
            "accepted since, and spent"
        );
    }

    #[test]
    fn a_long_term_template_is_asked_for_until_it_is_accepted() {
        let accepted = Standing { status: (Status::Accept, 10), ..Standing::default() };
        let told = Standing { reported: Some((true, 10)), ..Standing::default() };
        let back =
            Standing { status: (Status::Reject, 20), reported: Some((true, 10)), ..Standing::default() };
        assert_eq!(one(long_term("a", 0), accepted, 0), Verdict::Enough);
        assert_eq!(one(long_term("a", 0), told, 0), Verdict::Enough);
        assert_eq!(one(long_term("a", 0), back, 500), Verdict::Ask(Why::Never));
    }

    #[test]
    fn the_important_ones_decide_the_type() {
        let all = [
            (candidate("a", 1), Standing::default()),
            (long_term("b", 2), Standing::default()),
            (long_term("b", 1), Standing::default()),
        ];
        assert_eq!(choose(&all, 0), [Verdict::OtherType, Verdict::Ask(Why::Never), Verdict::SameTitle]);
    }

    fn any_candidate() -> impl Strategy<Value = (Candidate, Standing)> {
        let status = prop_oneof![Just(Status::Unknown), Just(Status::Accept), Just(Status::Reject)];
        let reported = proptest::option::of((any::<bool>(), 0..300i64));
        (0..9u8, any::<bool>(), -2..3i32, 0..3u32, status, 0..300i64, 0..3i64, any::<bool>(), reported)
            .prop_map(|(title, long, priority, keep, status, at, available, had, reported)| {
                let kind = if long { TemplateKind::LongTerm } else { TemplateKind::OneTime };
                let candidate = Candidate { title: title.to_string(), kind, priority, cool_down: 100, keep };
                (candidate, Standing { status: (status, at), available, had, reported })
            })
    }

    proptest! {
        /// WeChat takes what is chosen: five at most, of one type, of different titles; and nothing more important of that
        /// type was left for something less important.
        #[test]
        fn what_is_chosen_can_be_asked_for(all in proptest::collection::vec(any_candidate(), 0..20), now in 0..500i64) {
            let verdicts = choose(&all, now);
            prop_assert_eq!(verdicts.len(), all.len());
            let asked: Vec<&(Candidate, Standing)> =
                all.iter().zip(&verdicts).filter(|(_, verdict)| matches!(verdict, Verdict::Ask(_))).map(|(one, _)| one).collect();
            prop_assert!(asked.len() <= AT_ONCE);
            for (at, (one, standing)) in asked.iter().enumerate() {
                prop_assert!(asked[..at].iter().all(|(other, _)| other.kind == one.kind && other.title != one.title));
                prop_assert!(one.kind == TemplateKind::LongTerm || standing.available < i64::from(one.keep.max(1)));
                let accepted = standing.status.0 == Status::Accept || standing.reported.is_some_and(|(yes, _)| yes);
                let refused = [standing.status.0 == Status::Reject && standing.status.1 + 100 > now,
                    standing.reported.is_some_and(|(yes, at)| !yes && at + 100 > now)];
                prop_assert!(accepted || refused == [false, false], "nobody is asked again too soon");
            }
            if let Some(lowest) = asked.iter().map(|(one, _)| one.priority).min() {
                for ((one, _), verdict) in all.iter().zip(&verdicts) {
                    prop_assert!(*verdict != Verdict::NextTime || one.priority <= lowest);
                }
            } else {
                prop_assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Enough | Verdict::CoolDown(_))));
            }
        }
    }
}
