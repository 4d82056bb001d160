//! Lists of messages: pages without loss or repetition, whatever they are narrowed to.

use domain::MessageId;
use domain::clock::SECOND;
use domain::message::State;
use store::hot::enqueue::NewMessage;
use store::messages::MessageFilter;

use crate::bed::{APP, Bed, START, openid};

async fn read(bed: &Bed, filter: MessageFilter, limit: i64) -> Vec<MessageId> {
    let (mut before, mut all) = (None, Vec::new());
    for _ in 0..1_000 {
        let page = bed.store.messages(APP, filter.clone(), before, limit).await.unwrap();
        assert!(i64::try_from(page.items.len()).unwrap() <= limit);
        all.extend(page.items.iter().map(|message| message.id));
        before = page.next;
        if before.is_none() {
            return all;
        }
    }
    panic!("the pages have no end");
}

pub(crate) async fn pages_lose_and_repeat_nothing(bed: &Bed) {
    let template = bed.sync("other", domain::ledger::TemplateKind::OneTime).await;
    let mut made = Vec::new();
    for n in 0..53 {
        // Several of one millisecond, so that ids of one time are paged too.
        bed.clock.advance(if n % 5 == 0 { SECOND } else { 0 });
        let other = if n % 3 == 0 { template } else { bed.template };
        let message = NewMessage { template: other, ..bed.message(&openid(n % 4)) };
        made.push((message.id, n % 4, n % 3 == 0));
        bed.enqueue(message).await;
    }
    let cancelled: Vec<_> = made.iter().step_by(7).map(|(id, ..)| *id).collect();
    for id in &cancelled {
        bed.store.cancel(APP, *id).await.unwrap();
    }
    let mut foreign = bed.message(&openid(1));
    foreign.app = APP + 1;
    bed.enqueue(foreign).await;
    made.sort_unstable_by(|a, b| b.cmp(a));
    let ids = |keep: &dyn Fn(&(MessageId, usize, bool)) -> bool| {
        made.iter().filter(|row| keep(row)).map(|(id, ..)| *id).collect::<Vec<_>>()
    };
    for limit in [1, 10, 53, 54, 1_000] {
        assert_eq!(read(bed, MessageFilter::default(), limit).await, ids(&|_| true), "newest first");
        let filter = MessageFilter { state: Some(State::Cancelled), ..Default::default() };
        assert_eq!(read(bed, filter, limit).await, ids(&|row| cancelled.contains(&row.0)));
        let filter = MessageFilter { openid: Some(openid(2)), ..Default::default() };
        assert_eq!(read(bed, filter, limit).await, ids(&|row| row.1 == 2));
        let filter = MessageFilter { template: Some(template), ..Default::default() };
        assert_eq!(read(bed, filter, limit).await, ids(&|row| row.2));
        let (since, until) = (START + 3 * SECOND, START + 9 * SECOND);
        let filter = MessageFilter { since: Some(since), until: Some(until), ..Default::default() };
        let within = ids(&|row| (since..until).contains(&row.0.created_at()));
        assert!(within.len() > 20 && within.len() < 40);
        assert_eq!(read(bed, filter, limit).await, within, "from since to before until");
    }
    let filter = MessageFilter { openid: Some("nobody".into()), ..Default::default() };
    assert!(read(bed, filter, 10).await.is_empty());
}

pub(crate) async fn a_filtered_page_goes_on_after_ten_thousand(bed: &Bed) {
    let number = bed.sync("wanted", domain::ledger::TemplateKind::OneTime).await;
    let (mut wanted, mut all) = (Vec::new(), Vec::new());
    for n in 0..10_050 {
        if n % 10 == 0 {
            bed.clock.advance(1);
        }
        all.push(bed.message(&openid(0)));
    }
    all.sort_unstable_by_key(|message| message.id);
    // The newest but one, those on either side of the border, the oldest.
    for at in [0, 48, 49, 50, 51, 10_048] {
        all[at].template = number;
        wanted.push(all[at].id);
    }
    for batch in all.chunks(2_000) {
        bed.store.enqueue(batch.to_vec()).await.unwrap();
    }
    wanted.reverse();
    let filter = MessageFilter { template: Some(number), ..Default::default() };
    let page = bed.store.messages(APP, filter.clone(), None, 100).await.unwrap();
    assert!(page.items.len() < wanted.len() && page.next.is_some(), "a page looks at 10,000 rows");
    assert_eq!(read(bed, filter.clone(), 100).await, wanted);
    let recent = MessageFilter { since: Some(START + 900), ..filter };
    let page = bed.store.messages(APP, recent, None, 100).await.unwrap();
    assert_eq!((page.items.len(), page.next), (1, None), "nothing that is asked for can follow");
}
