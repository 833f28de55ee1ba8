//! Requests: decided here, passed on, refused.

use std::time::Duration;

use weir_core::{Epoch, JobId};
use weir_proto::client::{ClientError, ClientErrorKind, ClientRequest, ClientResponse, JobRef};
use weir_proto::grpc::CallOptions;

use super::{CALL, Coordinator, SOON};
use crate::server::Message;

fn restart() -> ClientRequest {
    ClientRequest::RestartJob { job: JobRef::Id(JobId(7)), from: Some(Epoch(3)), adopted: None }
}

fn submitted() -> ClientResponse {
    ClientResponse::Submitted { job: JobId(1), already_there: false, updated: false, unchecked: None }
}

#[tokio::test]
async fn a_request_comes_to_the_node_and_its_answer_back() {
    let mut coordinator = Coordinator::start().await;
    let channel = coordinator.channel().await;
    let request = restart();
    let (answer, asked) = tokio::join!(channel.call(&request, CALL), coordinator.answer(Ok(ClientResponse::Accepted)));
    assert!(matches!(answer, Ok(ClientResponse::Accepted)));
    assert_eq!(format!("{asked:?}"), format!("{request:?}"));
}

#[tokio::test]
async fn a_refusal_arrives_as_it_was_meant() {
    use ClientErrorKind as K;
    let mut coordinator = Coordinator::start().await;
    let channel = coordinator.channel().await;
    for kind in [K::NotFound, K::Conflict, K::Quota, K::Invalid, K::Unknown, K::Unavailable, K::Internal] {
        let error = ClientError::new(kind, "no job 'größte'").with_help("`weir jobs list`");
        let request = restart();
        let (answer, _) = tokio::join!(channel.call(&request, CALL), coordinator.answer(Err(error.clone())));
        assert_eq!(answer.unwrap_err(), error);
    }
}

#[tokio::test]
async fn a_node_that_answers_something_else_is_a_defect_and_not_a_wrong_answer() {
    let mut coordinator = Coordinator::start().await;
    let channel = coordinator.channel().await;
    let request = restart();
    let (answer, _) = tokio::join!(channel.call(&request, CALL), coordinator.answer(Ok(submitted())));
    assert!(answer.unwrap_err().message.contains("was answered with Submitted"));
}

#[tokio::test]
async fn a_follower_passes_requests_on_to_the_leader_over_one_connection() {
    let mut leader = Coordinator::start().await;
    let follower = Coordinator::start().await;
    follower.follows(leader.address);
    let channel = follower.channel().await;
    let help = ClientError::new(ClientErrorKind::Quota, "full").with_help("ask");
    for answer in [Ok(ClientResponse::Accepted), Err(help)] {
        let request = restart();
        let (answered, asked) = tokio::join!(channel.call(&request, CALL), leader.answer(answer.clone()));
        assert_eq!(format!("{asked:?}"), format!("{request:?}"));
        assert_eq!(format!("{answered:?}"), format!("{answer:?}"));
    }
}

#[tokio::test]
async fn a_request_is_passed_on_once() {
    let leader_elsewhere = Coordinator::start().await;
    let (first, second) = (Coordinator::start().await, Coordinator::start().await);
    first.follows(second.address);
    second.follows(leader_elsewhere.address);
    let error = first.channel().await.call(&restart(), CALL).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Unavailable);
    assert!(error.message.contains("leadership is moving"), "{error}");
}

#[tokio::test]
async fn without_a_leader_nothing_is_done() {
    let coordinator = Coordinator::start().await;
    coordinator.view.send_modify(|view| view.leader = None);
    let error = coordinator.channel().await.call(&restart(), CALL).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Unavailable);
    assert_eq!(error.message, "no coordinator leads just now");
}

#[tokio::test]
async fn a_leader_that_is_gone_was_asked_nothing() {
    let follower = Coordinator::start().await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    follower.follows(gone);
    let error = follower.channel().await.call(&restart(), CALL).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Unavailable);
    assert!(error.message.contains(&gone.to_string()), "{error}");
}

#[tokio::test]
async fn who_is_not_answered_in_time_learns_that_the_outcome_is_not_known() {
    let mut coordinator = Coordinator::start().await;
    let channel = coordinator.channel().await;
    let impatient = CallOptions { timeout: Duration::from_secs(1), forwarded: false };
    let error = channel.call(&restart(), impatient).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Unknown);
    assert_eq!(error.message, "the coordinators did not agree in time");
    // A read has changed nothing, so it may simply be asked again.
    let error = channel.call(&ClientRequest::ListWorkers, impatient).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Unavailable);
    assert!(matches!(coordinator.next().await, Message::Client(..)));
}

#[tokio::test]
async fn when_the_server_goes_down_the_outcome_of_what_was_asked_is_not_known() {
    let mut coordinator = Coordinator::start().await;
    let channel = coordinator.channel().await;
    let request = restart();
    let ask = channel.call(&request, CALL);
    let go = async {
        let Message::Client(_, _, _, reply) = coordinator.next().await else { panic!("a request was sent") };
        coordinator.shutdown.take().unwrap().send(()).unwrap();
        reply
    };
    let (answer, _reply) = tokio::time::timeout(SOON, async { tokio::join!(ask, go) }).await.unwrap();
    assert_eq!(answer.unwrap_err().kind, ClientErrorKind::Unknown);
    (&mut coordinator.server).await.unwrap().unwrap();
}
