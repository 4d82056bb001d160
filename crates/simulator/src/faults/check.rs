//! Whether a rule makes sense, so that a slip in a script is told instead of never striking.

use crate::api::{FaultKind as Kind, FaultOn, FaultRule};

pub(super) fn check(rule: &FaultRule) -> Result<(), String> {
    place(rule)?;
    turns(rule)?;
    options(rule)
}

/// The fault can happen there.
fn place(rule: &FaultRule) -> Result<(), String> {
    let (on, kind) = (rule.on, rule.fault);
    let fits = match kind {
        Kind::Latency => true,
        Kind::Duplicate | Kind::Reorder | Kind::Lost | Kind::RetryAnyway => on.is_push(),
        Kind::Overtake | Kind::MsgidOther | Kind::Undelivered => on == FaultOn::Receipt,
        Kind::MsgidAbsent => matches!(on, FaultOn::Send | FaultOn::Receipt),
        Kind::MsgidPresent | Kind::MsgidText => on == FaultOn::Send,
        _ => !on.is_push(),
    };
    if !fits {
        return Err(format!("{} does not happen on {}", kind.name(), word(on)));
    }
    if !on.is_push() && rule.event.is_some() {
        return Err("event is for pushes".to_owned());
    }
    let only_send = on == FaultOn::Send || on.is_push();
    if !only_send && (rule.openid.is_some() || rule.template_id.is_some()) {
        return Err(format!("openid and template_id are not known on {}", word(on)));
    }
    Ok(())
}

/// At most one way to say how often, and one that can happen.
fn turns(rule: &FaultRule) -> Result<(), String> {
    let range = rule.from.is_some() || rule.to.is_some();
    let ways = [rule.probability.is_some(), rule.every.is_some(), rule.next.is_some(), range];
    if ways.iter().filter(|given| **given).count() > 1 {
        return Err("only one of probability, every, next, from/to".to_owned());
    }
    if rule.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
        return Err("probability lies between 0 and 1".to_owned());
    }
    if [rule.every, rule.next, rule.from, rule.to].contains(&Some(0)) {
        return Err("every, next, from and to count from 1".to_owned());
    }
    if let (Some(from), Some(to)) = (rule.from, rule.to)
        && from > to
    {
        return Err("from lies behind to".to_owned());
    }
    Ok(())
}

/// Nothing is given that the fault does not look at.
fn options(rule: &FaultRule) -> Result<(), String> {
    let kind = rule.fault;
    let unused = |given: bool, name: &str, used: bool| match given && !used {
        true => Err(format!("{name} means nothing to {}", kind.name())),
        false => Ok(()),
    };
    let decides_effect = matches!(
        kind,
        Kind::Errcode | Kind::CutAfterBody | Kind::HttpStatus | Kind::Html | Kind::HalfBody | Kind::Hang
    );
    if kind == Kind::CutBeforeBody && rule.effect == Some(true) {
        return Err("what was not read has no effect: use cut_after_body".to_owned());
    }
    unused(rule.effect.is_some(), "effect", decides_effect || kind == Kind::CutBeforeBody)?;
    let code = matches!(kind, Kind::Errcode | Kind::Undelivered);
    unused(rule.errcode.is_some(), "errcode", code)?;
    unused(rule.errmsg.is_some(), "errmsg", code)?;
    if code && rule.errcode == Some(0) {
        return Err("errcode 0 is no fault".to_owned());
    }
    unused(rule.status.is_some(), "status", matches!(kind, Kind::HttpStatus | Kind::Html))?;
    if rule.status.is_some_and(|status| !(200..=599).contains(&status)) {
        return Err("status lies between 200 and 599".to_owned());
    }
    unused(
        rule.times.is_some(),
        "times",
        matches!(kind, Kind::Duplicate | Kind::Reorder | Kind::RetryAnyway),
    )?;
    if rule.times == Some(0) || rule.times.is_some_and(|times| times > 1_000) {
        return Err("times lies between 1 and 1000".to_owned());
    }
    unused(rule.chunked, "chunked", kind == Kind::HalfBody)?;
    if kind == Kind::Latency && rule.delay_ms.is_none() {
        return Err("latency needs delay_ms".to_owned());
    }
    Ok(())
}

/// As in a script.
fn word(on: FaultOn) -> String {
    serde_json::to_string(&on).unwrap_or_default().trim_matches('"').to_owned()
}
