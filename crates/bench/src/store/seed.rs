//! The world that both engines are measured in: a million subscribers of one template over 64 lanes, a campaign
//! that is being sent, a paused campaign of one message for each subscriber.

use ::store::hot::enqueue::Queue;
use domain::{Entropy, Lane, Lanes, MessageId, Millis, SeededEntropy};

pub(crate) const NOW: Millis = 1_790_000_000_000;
pub(crate) const APP: i64 = 1;
pub(crate) const TEMPLATE: i64 = 1;
pub(crate) const TEMPLATE_ID: &str = "zun-LzcQyW-edafCVvzPkK4de2Rllr1fFpw2A_x0oXE";
/// The campaign that is sent, and the one that is paused; in the same lanes.
pub(crate) const SENT: Queue = Queue(1_000);
pub(crate) const PAUSED: Queue = Queue(999);
pub(crate) const DATA: &str = r#"{"thing1":{"value":"物业费"},"amount2":{"value":"￥268.50"},"date3":{"value":"2026年11月30日"},"thing4":{"value":"锦绣花园 3 幢 2 单元 1102"},"thing5":{"value":"请在到期前缴纳，谢谢"}}"#;
/// Messages of the campaign per lane: what the rounds use up.
pub(crate) const PER_LANE: usize = 768;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(crate) struct Subscriber {
    pub(crate) openid: String,
    pub(crate) lane: Lane,
}

/// A message that waits in a queue.
#[derive(Clone)]
pub(crate) struct Waiting<'a> {
    pub(crate) id: MessageId,
    pub(crate) lane: Lane,
    pub(crate) queue: Queue,
    pub(crate) openid: &'a str,
    pub(crate) due_at: Millis,
    pub(crate) expire_at: Millis,
}

pub(crate) struct World {
    /// In random order.
    pub(crate) subscribers: Vec<Subscriber>,
    /// The openids of each lane, in key order.
    pub(crate) lanes: Vec<Vec<String>>,
    pub(crate) entropy: SeededEntropy,
}

impl World {
    pub(crate) fn new(rows: usize) -> Self {
        let entropy = SeededEntropy::new(1);
        let mut lanes = vec![Vec::new(); usize::from(Lanes::default().count())];
        let subscribers: Vec<Subscriber> = (0..rows)
            .map(|_| {
                let mut random = [0u8; 22];
                entropy.fill(&mut random);
                let tail: String =
                    random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect();
                let openid = format!("oG0NJ5{tail}");
                let lane = Lanes::default().of_openid(&openid);
                lanes[usize::from(lane.0)].push(openid.clone());
                Subscriber { openid, lane }
            })
            .collect();
        lanes.iter_mut().for_each(|lane| lane.sort_unstable());
        Self { subscribers, lanes, entropy }
    }

    /// A campaign as it is expanded: lane by lane, beside the subscribers; `per_lane` messages each.
    pub(crate) fn campaign(&self, queue: Queue, per_lane: usize, at: Millis) -> Vec<Waiting<'_>> {
        let mut messages = Vec::with_capacity(per_lane * self.lanes.len());
        for (number, openids) in self.lanes.iter().enumerate() {
            let lane = Lane(u16::try_from(number).unwrap_or(0));
            for openid in openids.iter().cycle().take(per_lane) {
                let created_at = at + i64::try_from(messages.len() / 20).unwrap_or(0);
                let id = MessageId::new(created_at, lane, &self.entropy);
                let (due_at, expire_at) = (NOW - 1, NOW + 1_000_000_000);
                messages.push(Waiting { id, lane, queue, openid, due_at, expire_at });
            }
        }
        // Several of one millisecond are claimed by id.
        messages.sort_unstable_by_key(|message| (message.lane, message.id));
        messages
    }
}
