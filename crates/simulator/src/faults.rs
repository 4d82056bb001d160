//! Fault scripts at work: which rule strikes when, and what is remembered of it. What a fault looks like to a
//! caller is `server::faulty`, to the app's server `push::faulty`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    api::{Counters, FaultEntry, FaultKind, FaultOn, FaultRule, FaultScript, FaultsView, RuleState},
    state::{Refusal, Ring, lock, read, write},
};

mod check;
mod control;

/// One app's faults.
pub(crate) struct Faults {
    /// False while there is no rule: all that a call without faults pays for.
    active: AtomicBool,
    script: RwLock<Arc<Script>>,
    log: Ring<FaultEntry>,
    counts: Mutex<BTreeMap<FaultKind, u64>>,
    ambiguous: AtomicU64,
    ambiguous_with_effect: AtomicU64,
    hung_up: AtomicU64,
}

#[derive(Default)]
struct Script {
    seed: u64,
    rules: Vec<Rule>,
}

struct Rule {
    spec: FaultRule,
    seen: AtomicU64,
    fired: AtomicU64,
}

/// Whom a call or push is for, as far as it is known.
#[derive(Clone, Copy, Default)]
pub(crate) struct Whom<'a> {
    pub(crate) openid: Option<&'a str>,
    /// A push may be about several.
    pub(crate) templates: &'a [&'a str],
    pub(crate) event: Option<&'a str>,
}

/// A rule that struck.
#[derive(Clone)]
pub(crate) struct Strike {
    script: Arc<Script>,
    rule: usize,
    pub(crate) on: FaultOn,
}

impl Faults {
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            active: AtomicBool::new(false),
            script: RwLock::default(),
            log: Ring::new(keep),
            counts: Mutex::default(),
            ambiguous: AtomicU64::new(0),
            ambiguous_with_effect: AtomicU64::new(0),
            hung_up: AtomicU64::new(0),
        }
    }

    pub(crate) fn active(&self) -> bool {
        self.active.load(Relaxed)
    }

    /// Puts a script in force; its rules count from 1.
    pub(crate) fn set(&self, script: FaultScript, drawn: u64) -> Result<(), Refusal> {
        for (at, rule) in script.rules.iter().enumerate() {
            check::check(rule).map_err(|why| Refusal::Invalid(format!("rule {}: {why}", at + 1)))?;
        }
        let rules = script.rules.into_iter().map(|spec| Rule {
            spec,
            seen: AtomicU64::new(0),
            fired: AtomicU64::new(0),
        });
        let script = Script { seed: script.seed.unwrap_or(drawn), rules: rules.collect() };
        let active = !script.rules.is_empty();
        *write(&self.script) = Arc::new(script);
        self.active.store(active, Relaxed);
        Ok(())
    }

    pub(crate) fn view(&self) -> FaultsView {
        let script = read(&self.script).clone();
        let state =
            |rule: &Rule| RuleState { seen: rule.seen.load(Relaxed), fired: rule.fired.load(Relaxed) };
        FaultsView {
            seed: script.seed,
            rules: script.rules.iter().map(|rule| rule.spec.clone()).collect(),
            states: script.rules.iter().map(state).collect(),
        }
    }

    /// Whether a rule on `what` asks for whom it is, so that the body has to be read first.
    pub(crate) fn asks_for_whom(&self, what: FaultOn) -> bool {
        let names_whom = |spec: &FaultRule| spec.openid.is_some() || spec.template_id.is_some();
        read(&self.script).rules.iter().any(|rule| rule.spec.on.covers(what) && names_whom(&rule.spec))
    }

    /// The first rule that strikes.
    pub(crate) fn strike(&self, what: FaultOn, whom: Whom<'_>) -> Option<Strike> {
        if !self.active() {
            return None;
        }
        let script = read(&self.script).clone();
        let rule = script.rules.iter().enumerate().position(|(at, rule)| {
            if !rule.concerns(what, whom) {
                return false;
            }
            let turn = rule.seen.fetch_add(1, Relaxed) + 1;
            rule.strikes(script.seed, at as u64, turn)
        })?;
        script.rules.get(rule)?.fired.fetch_add(1, Relaxed);
        Some(Strike { script, rule, on: what })
    }

    /// Writes down what a fault did.
    pub(crate) fn note(&self, entry: FaultEntry) {
        if entry.hung_up {
            if entry.on == FaultOn::Send {
                self.hung_up.fetch_add(1, Relaxed);
            }
        } else {
            *lock(&self.counts).entry(entry.fault).or_default() += 1;
        }
        if entry.ambiguous && entry.on == FaultOn::Send {
            self.ambiguous.fetch_add(1, Relaxed);
            if entry.effect == Some(true) {
                self.ambiguous_with_effect.fetch_add(1, Relaxed);
            }
        }
        self.log.push(entry);
    }

    /// A caller went away from a call that was slow without a fault.
    pub(crate) fn note_hung_up(&self) {
        self.hung_up.fetch_add(1, Relaxed);
    }

    pub(crate) fn newest(&self, limit: usize) -> Vec<FaultEntry> {
        self.log.newest(limit, |_| true)
    }

    pub(crate) fn count(&self, counters: &mut Counters) {
        let counts = lock(&self.counts);
        counters.faults = counts.iter().map(|(kind, count)| (kind.name().to_owned(), *count)).collect();
        counters.ambiguous = self.ambiguous.load(Relaxed);
        counters.ambiguous_with_effect = self.ambiguous_with_effect.load(Relaxed);
        counters.hung_up = self.hung_up.load(Relaxed);
    }
}

impl Rule {
    fn concerns(&self, what: FaultOn, whom: Whom<'_>) -> bool {
        let fits = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        let spec = &self.spec;
        spec.on.covers(what)
            && fits(&spec.openid, whom.openid)
            && spec.template_id.as_deref().is_none_or(|wanted| whom.templates.contains(&wanted))
            && fits(&spec.event, whom.event)
    }

    /// Whether it strikes at its nth call: a function of the seed, so that a run can be repeated.
    fn strikes(&self, seed: u64, rule: u64, turn: u64) -> bool {
        let spec = &self.spec;
        if let Some(probability) = spec.probability {
            return unit(mixed(seed, rule, turn)) < probability;
        }
        if let Some(every) = spec.every {
            return turn.is_multiple_of(every);
        }
        if let Some(next) = spec.next {
            return turn <= next;
        }
        turn >= spec.from.unwrap_or(1) && spec.to.is_none_or(|to| turn <= to)
    }
}

impl Strike {
    pub(crate) fn spec(&self) -> &FaultRule {
        // It was found there, and a script is never changed.
        &self.script.rules[self.rule].spec
    }

    pub(crate) fn kind(&self) -> FaultKind {
        self.spec().fault
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.spec().delay_ms.unwrap_or(0))
    }

    /// Whether the call shall take effect all the same.
    pub(crate) fn with_effect(&self) -> bool {
        self.spec().effect.unwrap_or(!matches!(
            self.kind(),
            FaultKind::Errcode | FaultKind::HttpStatus | FaultKind::Html | FaultKind::CutBeforeBody
        ))
    }

    pub(crate) fn errcode(&self) -> (i32, &str) {
        let spec = self.spec();
        let errcode = spec.errcode.unwrap_or(-1);
        let errmsg = match errcode {
            -1 => "system error",
            40001 => "invalid credential, access_token is invalid or not latest",
            40125 => "invalid appsecret",
            40164 => "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist",
            43101 => "user refuse to accept the msg",
            45009 => "reach max api daily quota limit",
            _ => "a fault script says so",
        };
        (errcode, spec.errmsg.as_deref().unwrap_or(errmsg))
    }

    pub(crate) fn entry(&self, at: i64, whom: Whom<'_>) -> FaultEntry {
        FaultEntry {
            at,
            on: self.on,
            fault: self.kind(),
            rule: self.rule,
            openid: whom.openid.map(str::to_owned),
            template_id: whom.templates.first().map(|id| (*id).to_owned()),
            msgid: None,
            effect: None,
            ambiguous: false,
            hung_up: false,
        }
    }
}

/// splitmix64's finaliser over the three.
fn mixed(seed: u64, rule: u64, turn: u64) -> u64 {
    let mut z = seed
        .wrapping_add(rule.wrapping_add(1).wrapping_mul(0xD1B5_4A32_D192_ED03))
        .wrapping_add(turn.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// From 0 to just below 1.
fn unit(number: u64) -> f64 {
    let top = u32::try_from(number >> 32).unwrap_or(u32::MAX);
    f64::from(top) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests;
