//! Workers, peers, and those who should not be here.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use weir_core::{CoordinatorId, Incarnation, WorkerId};
use weir_proto::PROTOCOL;
use weir_proto::client::{ClientRequest, ClientResponse};
use weir_proto::control::{FromWorker, Hello, ToWorker};
use weir_proto::grpc::{ClusterChannel, Credentials, LinkOptions, WorkerLink};
use weir_proto::peer::peer_client::PeerClient;
use weir_proto::peer::{Envelope, PeerMessage};

use super::super::GrpcConfig;
use super::{CALL, Coordinator, SOON};
use crate::raft::LogId;
use crate::server::Message;

fn hello(protocol: u32) -> Hello {
    Hello {
        cluster: None,
        worker: WorkerId("w1".into()),
        incarnation: Incarnation(5),
        slots: 4,
        address: "127.0.0.1:7421".into(),
        version: "0.1.0".into(),
        attempts: Vec::new(),
        leaving: false,
        protocol,
        audits: true,
        compares_state: true,
    }
}

async fn attach(coordinator: &Coordinator, hello: Hello) -> (WorkerLink, mpsc::Sender<FromWorker>) {
    let (sender, outgoing) = mpsc::channel(4);
    let options = LinkOptions { connect_timeout: SOON, keep_alive: SOON };
    let link = WorkerLink::attach(&coordinator.address.to_string(), hello, outgoing, options, None).await.unwrap();
    (link, sender)
}

#[tokio::test]
async fn a_worker_is_a_session_until_it_goes() {
    let mut coordinator = Coordinator::start().await;
    let (mut link, worker) = attach(&coordinator, hello(PROTOCOL)).await;
    let Message::Connected(session, hello, to_worker) = coordinator.next().await else { panic!("it has connected") };
    assert_eq!(hello.incarnation, Incarnation(5));
    worker.send(FromWorker::Leaving).await.unwrap();
    assert!(matches!(coordinator.next().await, Message::Worker(by, FromWorker::Leaving) if by == session));
    to_worker.send(ToWorker::Farewell).await.unwrap();
    assert!(matches!(link.next().await, Ok(Some(ToWorker::Farewell))));
    drop(worker);
    drop(link);
    assert!(matches!(coordinator.next().await, Message::Disconnected(by) if by == session));
}

#[tokio::test]
async fn when_the_node_closes_a_session_the_worker_is_told_and_the_node_too() {
    let mut coordinator = Coordinator::start().await;
    let (mut link, _worker) = attach(&coordinator, hello(PROTOCOL)).await;
    let Message::Connected(session, _, to_worker) = coordinator.next().await else { panic!("it has connected") };
    to_worker.send(ToWorker::Redirect { leader: None }).await.unwrap();
    drop(to_worker);
    assert!(matches!(link.next().await, Ok(Some(ToWorker::Redirect { leader: None }))));
    assert!(matches!(link.next().await, Ok(None)));
    assert!(matches!(coordinator.next().await, Message::Disconnected(by) if by == session));
}

#[tokio::test]
async fn a_newer_worker_is_refused_and_not_let_in() {
    let mut coordinator = Coordinator::start().await;
    let (mut link, _worker) = attach(&coordinator, hello(PROTOCOL + 1)).await;
    let Ok(Some(ToWorker::Refused { reason })) = link.next().await else { panic!("it is refused") };
    assert_eq!(Err(reason), weir_proto::version::check("worker", PROTOCOL + 1));
    assert!(matches!(link.next().await, Ok(None)));
    let (_link, _worker) = attach(&coordinator, hello(PROTOCOL)).await;
    assert!(matches!(coordinator.next().await, Message::Connected(_, hello, _) if hello.protocol == PROTOCOL));
}

#[tokio::test]
async fn peers_are_heard_if_they_are_of_the_cluster() {
    let mut coordinator = Coordinator::start().await;
    let mut peer = PeerClient::connect(format!("http://{}", coordinator.address)).await.unwrap();
    let envelope = |cluster: &str, term| Envelope {
        address: String::new(),
        cluster: cluster.into(),
        message: Some(PeerMessage { from: 3, term, ..PeerMessage::default() }),
    };
    peer.deliver(tokio_stream::iter([envelope("weir-test", 4)])).await.unwrap();
    let Message::Peer(from, message, _) = coordinator.next().await else { panic!("it is heard") };
    assert_eq!((from, message.term), (CoordinatorId(3), 4));
    let refused = peer.deliver(tokio_stream::iter([envelope("another", 5), envelope("weir-test", 6)])).await;
    assert!(refused.unwrap_err().message().contains("'weir-test', not of 'another'"));
    peer.deliver(tokio_stream::iter([envelope("weir-test", 7)])).await.unwrap();
    assert!(matches!(coordinator.next().await, Message::Peer(_, message, _) if message.term == 7));
}

/// Reads until the other end closes; fails if it does not.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // Closed in order or not: both are closed.
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await.expect("it is still open");
}

#[tokio::test]
async fn garbage_is_cut_off_while_others_go_on() {
    let mut coordinator = Coordinator::start().await;
    let channel = coordinator.channel().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let garbage: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![0xff; 100_000],
        [preface.clone(), vec![0xff; 1000]].concat(),
        // A frame of settings that is longer than any may be.
        [preface, vec![0xff, 0xff, 0xff, 4, 0, 0, 0, 0, 0], vec![0; 1000]].concat(),
    ];
    for bytes in garbage {
        let mut stranger = TcpStream::connect(coordinator.address).await.unwrap();
        // The other end may have closed before it has read all.
        let _ = stranger.write_all(&bytes).await;
        let request = ClientRequest::ListWorkers;
        let answered = coordinator.answer(Ok(ClientResponse::Workers(Vec::new())));
        let (answer, _) = tokio::join!(channel.call(&request, CALL), answered);
        assert!(matches!(answer, Ok(ClientResponse::Workers(_))));
        closed(&mut stranger).await;
    }
}

#[tokio::test]
async fn who_says_nothing_and_who_is_one_too_many_is_cut_off() {
    let config = GrpcConfig {
        max_connections: 2,
        handshake_timeout: Duration::from_millis(300),
        ..GrpcConfig::new("weir-test", LogId(7))
    };
    let mut coordinator = Coordinator::with(config).await;
    let mut silent = TcpStream::connect(coordinator.address).await.unwrap();
    let channel = coordinator.channel().await;
    let mut third = TcpStream::connect(coordinator.address).await.unwrap();
    closed(&mut third).await;
    closed(&mut silent).await;
    // Both places were not lost: the second is still good, the first is free again.
    for channel in [
        channel,
        ClusterChannel::connect(&coordinator.address.to_string(), SOON, &Credentials::default()).await.unwrap(),
    ] {
        let request = ClientRequest::ListWorkers;
        let answered = coordinator.answer(Ok(ClientResponse::Workers(Vec::new())));
        let (answer, _) = tokio::join!(channel.call(&request, CALL), answered);
        assert!(answer.is_ok(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_handshake_that_is_not_finished_is_cut_off_and_a_peer_that_answers_no_ping() {
    let config = GrpcConfig {
        max_connections: 4,
        handshake_timeout: Duration::from_millis(300),
        keep_alive: Duration::from_millis(300),
        ..GrpcConfig::new("weir-test", LogId(7))
    };
    let coordinator = Coordinator::with(config).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let whole: Vec<u8> = preface.iter().copied().chain(settings).collect();
    let mut unfinished = Vec::new();
    for bytes in [&whole[..3], &whole[..24], &whole[..32], &whole] {
        let mut stream = TcpStream::connect(coordinator.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        unfinished.push(stream);
    }
    for mut stream in unfinished {
        closed(&mut stream).await;
    }
}

/// A connection from an address of this machine that nobody else has.
async fn from_another_address(to: std::net::SocketAddr, last: u8) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, last], 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn one_address_that_opens_hundreds_leaves_room_for_others() {
    let config = GrpcConfig {
        connections_per_address: 4,
        connections_per_own_address: 4,
        handshake_timeout: Duration::from_secs(600),
        ..GrpcConfig::new("weir-test", LogId(7))
    };
    let mut coordinator = Coordinator::with(config).await;
    let mut flood = Vec::new();
    for _ in 0..300 {
        flood.push(from_another_address(coordinator.address, 9).await);
    }
    for stream in flood.iter_mut().skip(4) {
        closed(stream).await;
    }
    let channel = coordinator.channel().await;
    let answered = coordinator.answer(Ok(ClientResponse::Workers(Vec::new())));
    let (answer, _) = tokio::join!(channel.call(&ClientRequest::ListWorkers, CALL), answered);
    assert!(answer.is_ok(), "{answer:?}");
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_cut_off() {
    let silence = Duration::from_millis(400);
    let config = GrpcConfig { silence, ..GrpcConfig::new("weir-test", LogId(7)) };
    let mut coordinator = Coordinator::with(config).await;
    // Over HTTP/2, where pings are answered, nothing has to be asked.
    let channel = coordinator.channel().await;
    let mut slow = TcpStream::connect(coordinator.address).await.unwrap();
    slow.write_all(b"POST /api/v1/namespaces/default/jobs HTTP/1.1\r\nHost: x\r\nX: ").await.unwrap();
    let dribble = async {
        let mut ticks = tokio::time::interval(silence / 10);
        loop {
            ticks.tick().await;
            if slow.write_all(b"x").await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, dribble).await.expect("a header may take for ever");
    let answered = coordinator.answer(Ok(ClientResponse::Workers(Vec::new())));
    let (answer, _) = tokio::join!(channel.call(&ClientRequest::ListWorkers, CALL), answered);
    assert!(answer.is_ok(), "{answer:?}");
}

#[tokio::test]
async fn at_the_end_workers_are_not_waited_for() {
    let config = GrpcConfig { shutdown_grace: Duration::from_millis(50), ..GrpcConfig::new("weir-test", LogId(7)) };
    let mut coordinator = Coordinator::with(config).await;
    let (mut link, _worker) = attach(&coordinator, hello(PROTOCOL)).await;
    let Message::Connected(session, _, _to_worker) = coordinator.next().await else { panic!("it has connected") };
    coordinator.shutdown.take().unwrap().send(()).unwrap();
    tokio::time::timeout(SOON, &mut coordinator.server).await.unwrap().unwrap().unwrap();
    assert!(!matches!(tokio::time::timeout(SOON, link.next()).await.unwrap(), Ok(Some(_))));
    assert!(matches!(coordinator.next().await, Message::Disconnected(by) if by == session));
}
