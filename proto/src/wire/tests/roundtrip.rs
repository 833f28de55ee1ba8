//! Any value survives the way there and back.

use proptest::option;
use proptest::prelude::*;
use weir_core::{
    Attempt, Epoch, ErrorKind, EventTime, Incarnation, JobId, Marker, MarkerKind, PlacedWorker, Placement, WorkerId,
};

use super::{decode_error, decode_request, decode_response, encode_error, encode_request, encode_response, samples};
use crate::client::{
    CheckpointInfo, ClientError, ClientErrorKind, ClientRequest, ClientResponse, JobDetail, JobRef, JobSummary,
    QuotaInfo,
};
use crate::control::{Activity, AttemptPhase, AttemptStatus, Failure, Figures, FromWorker, Hello, Times, ToWorker};
use crate::{decode_from_worker, decode_to_worker, encode_from_worker, encode_to_worker};

fn text() -> impl Strategy<Value = String> {
    "[a-zä/:\n]{1,12}"
}

fn job() -> impl Strategy<Value = JobId> {
    (1..u64::MAX).prop_map(JobId)
}

fn attempt() -> impl Strategy<Value = Attempt> {
    (1..u64::MAX).prop_map(Attempt)
}

fn kind() -> impl Strategy<Value = MarkerKind> {
    use MarkerKind::{Checkpoint, Drain, Flush, Savepoint, Stop};
    prop::sample::select(vec![Flush, Checkpoint, Savepoint, Stop, Drain])
}

fn failure() -> impl Strategy<Value = Failure> {
    let kinds = vec![ErrorKind::User, ErrorKind::Data, ErrorKind::Environment, ErrorKind::Internal];
    (prop::sample::select(kinds), ".*", any::<bool>()).prop_map(|(kind, report, peer_lost)| Failure {
        kind,
        report,
        peer_lost,
    })
}

fn phase() -> impl Strategy<Value = AttemptPhase> {
    prop_oneof![
        Just(AttemptPhase::Opening),
        Just(AttemptPhase::Ready),
        Just(AttemptPhase::Running),
        Just(AttemptPhase::Ended),
        failure().prop_map(AttemptPhase::Failed),
    ]
}

prop_compose! {
    fn status()(
        job in job(), attempt in attempt(), phase in phase(), last_epoch in any::<u64>(),
        last_kind in option::of(kind()), captures in prop::collection::vec((any::<u64>(), kind()), 0..3),
        wants_marker in any::<bool>(), exhausted in any::<bool>(),
    ) -> AttemptStatus {
        let captures = captures.into_iter().map(|(epoch, kind)| Marker { epoch: Epoch(epoch), kind }).collect();
        let last_epoch = Epoch(last_epoch);
        AttemptStatus { job, attempt, phase, last_epoch, last_kind, captures, wants_marker, exhausted }
    }
}

prop_compose! {
    fn hello()(
        cluster in option::of(".*"), worker in text(), incarnation in any::<u64>(), slots in any::<u32>(),
        address in text(), version in ".*", attempts in prop::collection::vec(status(), 0..4),
        leaving in any::<bool>(), protocol in any::<u32>(), audits in any::<bool>(),
        compares_state in any::<bool>(),
    ) -> Hello {
        let (worker, incarnation) = (WorkerId(worker), Incarnation(incarnation));
        Hello {
            cluster, worker, incarnation, slots, address, version, attempts, leaving, protocol, audits, compares_state,
        }
    }
}

prop_compose! {
    fn activity()(
        counts in prop::array::uniform4(any::<u32>()), n in prop::array::uniform3(any::<u64>()),
        times in option::of(prop::array::uniform3(any::<u64>())), of_some in prop::array::uniform3(option::of(any::<u64>())),
    ) -> Activity {
        let [subtasks, splits, silent_splits, held_splits] = counts;
        let ([most_rows_in, marker, queued_bytes], [lag_records, lag_ms, spread_ms]) = (n, of_some);
        let times = times.map(|[busy_ms, idle_ms, backpressured_ms]| Times { busy_ms, idle_ms, backpressured_ms });
        let marker = Epoch(marker);
        Activity {
            subtasks, times, most_rows_in, marker, queued_bytes, lag_records, lag_ms, splits, silent_splits,
            held_splits, spread_ms,
        }
    }
}

prop_compose! {
    fn figures()(
        n in prop::array::uniform5(any::<u64>()), watermark in option::of(any::<i64>()), activity in option::of(activity()),
    ) -> Figures {
        let [rows_in, rows_out, late_rows, rejected_rows, state_bytes] = n;
        let watermark = watermark.map(EventTime);
        Figures { rows_in, rows_out, late_rows, rejected_rows, state_bytes, watermark, activity }
    }
}

prop_compose! {
    fn placement()(
        workers in prop::collection::vec((text(), any::<u64>(), text()), 1..4),
        slots in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) -> Placement {
        let workers: Vec<PlacedWorker> = workers
            .into_iter()
            .map(|(worker, incarnation, address)| {
                PlacedWorker { worker: WorkerId(worker), incarnation: Incarnation(incarnation), address }
            })
            .collect();
        let slots = slots.iter().map(|slot| slot.index(workers.len()) as u32).collect();
        Placement { workers, slots }
    }
}

prop_compose! {
    fn checkpoint()(
        n in prop::array::uniform5(any::<u64>()), completed_at in any::<i64>(), flags in any::<[bool; 3]>(),
        parallelism in any::<u32>(), manifest in ".*",
    ) -> CheckpointInfo {
        let [epoch, attempt, duration_ms, state_bytes, written_bytes] = n;
        let [savepoint, finished, committed] = flags;
        let (epoch, attempt) = (Epoch(epoch), Attempt(attempt));
        CheckpointInfo {
            epoch, attempt, completed_at, duration_ms, state_bytes, written_bytes, savepoint, finished, committed,
            parallelism, manifest,
        }
    }
}

prop_compose! {
    fn detail()(
        job in job(), names in prop::array::uniform4(text()), figures in option::of(figures()),
        last in option::of(checkpoint()), checkpoints in prop::collection::vec(checkpoint(), 0..3),
        placement in option::of(placement()), waiting_for in option::of(".*"), pause in option::of(any::<u64>()),
        slots in option::of(any::<u32>()),
    ) -> JobDetail {
        let sample = samples::detail();
        let [namespace, name, status, desired] = names;
        let summary = JobSummary {
            job, namespace, name, status, desired, slots, figures, last_checkpoint: last, waiting_for,
            ..sample.summary
        };
        JobDetail { summary, placement, checkpoints, last_pause_ms: pause, ..sample }
    }
}

fn job_ref() -> impl Strategy<Value = JobRef> {
    prop_oneof![
        job().prop_map(JobRef::Id),
        (text(), text()).prop_map(|(namespace, name)| JobRef::Name { namespace, name }),
    ]
}

proptest! {
    #[test]
    fn messages_of_workers(hello in hello(), status in status()) {
        for message in [FromWorker::Hello(hello), FromWorker::Status(status)] {
            let heard = decode_from_worker(&encode_from_worker(&message)).unwrap();
            prop_assert_eq!(format!("{heard:?}"), format!("{message:?}"));
        }
    }

    #[test]
    fn messages_to_workers(job in job(), attempt in attempt(), epoch in any::<u64>(), kind in kind()) {
        let message = ToWorker::Marker { job, attempt, epoch: Epoch(epoch), kind };
        let heard = decode_to_worker(&encode_to_worker(&message)).unwrap();
        prop_assert_eq!(format!("{heard:?}"), format!("{message:?}"));
    }

    #[test]
    fn requests(
        job in job_ref(), from in option::of(any::<u64>()),
        limits in (option::of(any::<u32>()), option::of(any::<u32>()), option::of(any::<u64>())),
    ) {
        let quota = QuotaInfo { slots: limits.0, jobs: limits.1, state_bytes: limits.2 };
        let requests = [
            ("restart_job", ClientRequest::RestartJob { job, from: from.map(Epoch), adopted: None }),
            ("set_namespace", ClientRequest::SetNamespace { namespace: "n".into(), quota }),
        ];
        for (rpc, request) in requests {
            let heard = decode_request(rpc, &encode_request(&request)).unwrap();
            prop_assert_eq!(format!("{heard:?}"), format!("{request:?}"));
        }
    }

    #[test]
    fn jobs(detail in detail()) {
        let response = ClientResponse::Job(Box::new(detail.clone()));
        match decode_response("describe_job", &encode_response("describe_job", response)).unwrap() {
            ClientResponse::Job(heard) => prop_assert_eq!(format!("{heard:?}"), format!("{detail:?}")),
            other => prop_assert!(false, "{}", other.name()),
        }
    }

    #[test]
    fn errors(message in ".*", help in option::of(".*"), kind in 0..7_usize) {
        use ClientErrorKind as K;
        let kinds = [K::NotFound, K::Conflict, K::Quota, K::Invalid, K::Unknown, K::Unavailable, K::Internal];
        let error = ClientError { kind: kinds[kind], message, help };
        prop_assert_eq!(decode_error(&encode_error(&error)).unwrap(), error);
    }
}
