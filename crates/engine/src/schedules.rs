//! Makes the campaigns of schedules whose time has come.

use std::time::Duration;

use crate::Shared;

const LOOK: Duration = Duration::from_millis(500);

pub(crate) async fn run(shared: Shared) {
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if !shared.lanes.on_duty(&shared.service, "schedules") {
            continue;
        }
        let due = match shared.service.store().due_schedules(shared.service.now()).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "schedules could not be read; trying again");
                continue;
            }
        };
        for schedule in due {
            // Of a removed app nothing is made; its schedules stand as they are.
            let Some(app) = shared.service.apps().by_number(schedule.asked.app) else { continue };
            if let Err(problem) = shared.service.fire_schedule(&app, &schedule).await {
                tracing::error!(schedule = %schedule.asked.id, %problem, "a schedule could not fire; trying again");
            }
        }
    }
}
