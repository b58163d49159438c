//! Alarms under paused time: they ring at their time, also when it is moved.

use std::future::poll_fn;

use contract::seams::{Clock, Ticks};

use super::RealClock;

fn ms_since(clock: RealClock, start: Ticks) -> u64 {
    clock.now().since_ns(start) / 1_000_000
}

#[tokio::test(start_paused = true)]
async fn an_alarm_rings_at_its_time() {
    let clock = RealClock::new();
    let start = clock.now();
    let mut alarm = clock.alarm(start.plus_ms(50));
    poll_fn(|cx| alarm.poll_ring(cx)).await;
    assert!((50..=52).contains(&ms_since(clock, start)));
}

#[tokio::test(start_paused = true)]
async fn an_alarm_moves_later_and_earlier() {
    let clock = RealClock::new();
    let start = clock.now();
    let mut alarm = clock.alarm(start.plus_ms(10));
    assert!(
        poll_fn(|cx| std::task::Poll::Ready(alarm.poll_ring(cx)))
            .await
            .is_pending()
    );
    alarm.set(start.plus_ms(100));
    poll_fn(|cx| alarm.poll_ring(cx)).await;
    assert!((100..=102).contains(&ms_since(clock, start)));

    alarm.set(start.plus_ms(100_000));
    assert!(
        poll_fn(|cx| std::task::Poll::Ready(alarm.poll_ring(cx)))
            .await
            .is_pending()
    );
    alarm.set(start.plus_ms(150));
    poll_fn(|cx| alarm.poll_ring(cx)).await;
    assert!((150..=152).contains(&ms_since(clock, start)));
}

#[tokio::test(start_paused = true)]
async fn an_alarm_in_the_past_rings_at_once_and_one_beyond_time_does_not_overflow() {
    let clock = RealClock::new();
    let mut past = clock.alarm(Ticks(0));
    poll_fn(|cx| past.poll_ring(cx)).await;
    let mut never = clock.alarm(Ticks(u64::MAX));
    assert!(
        poll_fn(|cx| std::task::Poll::Ready(never.poll_ring(cx)))
            .await
            .is_pending()
    );
}
