//! The generator against a plain scalar reading of the benchmark's rules, and against their proportions.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use weir_core::connector::{Role, SourceContext};
use weir_core::{Connector, ErrorKind, SourceEvent};

use super::*;
use crate::bench::{Checkpoint, Reader};

fn table(entity: &str, options: &[(&str, &str)]) -> TableSpec {
    let mut all = BTreeMap::from([("nexmark.table".to_owned(), entity.to_owned())]);
    all.extend(options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let schema = Nexmark.default_schema(&all).unwrap().unwrap();
    TableSpec::new(entity, "nexmark", all, schema)
}

fn rows(entity: &str, options: &[(&str, &str)], events: Range<u64>) -> RecordBatch {
    Generator::new(&table(entity, options)).unwrap().rows(&[events]).unwrap()
}

fn longs(batch: &RecordBatch, column: &str) -> Vec<i64> {
    let column = batch.column_by_name(column).unwrap();
    match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().values().to_vec(),
        _ => column.as_primitive::<TimestampMillisecondType>().values().to_vec(),
    }
}

fn texts<'a>(batch: &'a RecordBatch, column: &str) -> Vec<&'a str> {
    batch.column_by_name(column).unwrap().as_string_view().iter().map(Option::unwrap).collect()
}

async fn opened(table: &TableSpec, subtask: usize, parallelism: usize, from: &Checkpoint) -> Reader {
    let context = SourceContext { subtask, parallelism, batch_rows: 100 };
    Reader::open(&Nexmark, table, context, from).await.unwrap()
}

async fn read(reader: &mut Reader, most: usize) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    while batches.len() < most
        && let Some(event) = reader.next().await.unwrap()
    {
        if let SourceEvent::Rows { records, .. } = event {
            batches.push(records);
        }
    }
    batches
}

/// Rows as text, sorted, to compare what subtasks read in whatever order.
fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        let options = arrow::util::display::FormatOptions::default();
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        lines.extend(
            (0..batch.num_rows())
                .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|")),
        );
    }
    lines.sort_unstable();
    lines
}

/// The rules once more, one event at a time, as they are written down for Beam's generator; randomness as this
/// generator's documentation defines it.
mod scalar {
    fn mix(mut z: u64) -> u64 {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
        z ^ (z >> 31)
    }

    pub fn word(seed: u64, event: u64, field: u64) -> u64 {
        let golden = 0x9e3779b97f4a7c15u64;
        mix(mix(seed ^ golden).wrapping_add((event * 16 + field).wrapping_mul(golden)))
    }

    /// Two draws of one word, each below its bound.
    pub fn draws(word: u64, first: u64, second: u64) -> (u64, u64) {
        let (low, high) = (word & 0xffff_ffff, word >> 32);
        (((low as u128 * first as u128) >> 32) as u64, ((high as u128 * second as u128) >> 32) as u64)
    }

    pub fn price(word: u64) -> f64 {
        let uniform = (word >> 40) as f64 / (1u64 << 24) as f64;
        (10f64.powf(uniform * 6.0) * 100.0).round()
    }

    pub fn last_base0_person(event: u64) -> i64 {
        let (epoch, mut offset) = ((event / 50) as i64, (event % 50) as i64);
        if offset >= 1 {
            offset = 0;
        }
        epoch + offset
    }

    pub fn last_base0_auction(event: u64) -> i64 {
        let (mut epoch, mut offset) = ((event / 50) as i64, (event % 50) as i64);
        if offset < 1 {
            epoch -= 1;
            offset = 2;
        } else if offset >= 4 {
            offset = 2;
        } else {
            offset -= 1;
        }
        epoch * 3 + offset
    }

    pub fn person(event: u64, word: u64, ratio: u64, hot_offset: i64) -> i64 {
        let last = last_base0_person(event);
        let people = last + 1;
        let active = people.min(1000);
        let (decision, pick) = draws(word, ratio, (active + 10) as u64);
        1000 + if decision > 0 { last / 100 * 100 + hot_offset } else { people - active + pick as i64 }
    }

    pub fn bid_auction(event: u64, word: u64) -> i64 {
        let last = last_base0_auction(event);
        let min = (last - 100).max(0);
        let (decision, pick) = draws(word, 2, (last - min + 1 + 10) as u64);
        1000 + if decision > 0 { last / 100 * 100 } else { min + pick as i64 }
    }
}

const SOME: Range<u64> = 0..30_000;

#[test]
fn bids_equal_a_scalar_computation() {
    for seed in [0u64, 42] {
        let batch = rows("bid", &[("seed", &seed.to_string()), ("rate", "3000")], SOME);
        let events: Vec<u64> = SOME.filter(|event| event % 50 >= 4).collect();
        assert_eq!(batch.num_rows(), events.len());
        let (auctions, bidders, prices) = (longs(&batch, "auction"), longs(&batch, "bidder"), longs(&batch, "price"));
        let (times, channels, urls) = (longs(&batch, "dateTime"), texts(&batch, "channel"), texts(&batch, "url"));
        let extras = texts(&batch, "extra");
        for (row, event) in events.iter().enumerate() {
            let word = |field| scalar::word(seed, *event, field);
            assert_eq!(auctions[row], scalar::bid_auction(*event, word(0)), "event {event}");
            assert_eq!(bidders[row], scalar::person(*event, word(1), 4, 1), "event {event}");
            // The logarithm is looked up in two steps, which may round the last cent differently.
            assert!((prices[row] as f64 - scalar::price(word(2))).abs() <= 1.0, "event {event}");
            assert_eq!(times[row], 1_767_225_600_000 + (*event as i64 * 1000) / 3000);
            let (hot, index) = scalar::draws(word(3), 2, 4);
            let (_, cold) = scalar::draws(word(3), 2, 10_000);
            let id = (cold as i32).reverse_bits().unsigned_abs();
            if hot > 0 {
                assert_eq!(channels[row], ["Google", "Facebook", "Baidu", "Apple"][index as usize]);
                assert!(urls[row].ends_with("/item.htm?query=1"));
            } else {
                assert_eq!(channels[row], format!("channel-{cold}"));
                assert!(
                    urls[row].ends_with(&format!("/item.htm?query=1&channel_id={id}"))
                        || urls[row].ends_with("/item.htm?query=1")
                );
            }
            assert_eq!(urls[row].split('/').count(), 7, "{}", urls[row]);
            assert_eq!(extras[row].len() as u64, 54 + scalar::draws(word(4), 28, 1).0);
            assert!(extras[row].bytes().all(|byte| byte.is_ascii_lowercase()));
        }
    }
}

#[test]
fn auctions_equal_a_scalar_computation() {
    let batch = rows("auction", &[("seed", "7")], SOME);
    let events: Vec<u64> = SOME.filter(|event| (1..4).contains(&(event % 50))).collect();
    assert_eq!(longs(&batch, "id"), (1000..1000 + events.len() as i64).collect::<Vec<_>>());
    let (sellers, categories) = (longs(&batch, "seller"), longs(&batch, "category"));
    let (initial, reserve) = (longs(&batch, "initialBid"), longs(&batch, "reserve"));
    let (begins, expires) = (longs(&batch, "dateTime"), longs(&batch, "expires"));
    for (row, event) in events.iter().enumerate() {
        let word = |field| scalar::word(7, *event, field);
        assert_eq!(sellers[row], scalar::person(*event, word(5), 4, 0));
        assert_eq!(categories[row], 10 + scalar::draws(word(6), 1, 5).1 as i64);
        assert!((initial[row] as f64 - scalar::price(word(2))).abs() <= 1.0);
        assert!(((reserve[row] - initial[row]) as f64 - scalar::price(word(3))).abs() <= 1.0);
        let millis = |event: u64| event as i64 * 1000 / 10_000;
        let horizon = millis(event + 1666) - millis(*event);
        assert_eq!(expires[row] - begins[row], 1 + scalar::draws(word(4), 1, 2 * horizon as u64).1 as i64);
    }
    let mean = |column: &str| texts(&batch, column).iter().map(|text| text.len()).sum::<usize>() / events.len();
    assert!((10..=12).contains(&mean("itemName")) && (49..=53).contains(&mean("description")));
    let size = 48 + mean("itemName") + mean("description") + mean("extra");
    assert!((490..=505).contains(&size), "{size}");
    let trimmed = |column: &str| texts(&batch, column).iter().all(|text| text.trim() == *text && text.len() >= 3);
    assert!(trimmed("itemName") && trimmed("description"));
    assert!(texts(&batch, "description").iter().any(|text| text.contains(' ')));
}

#[test]
fn persons_equal_a_scalar_computation() {
    let batch = rows("person", &[("seed", "7")], 0..500_000);
    assert_eq!(longs(&batch, "id"), (1000..11_000).collect::<Vec<_>>());
    let (names, cities, states) = (texts(&batch, "name"), texts(&batch, "city"), texts(&batch, "state"));
    let (emails, cards) = (texts(&batch, "emailAddress"), texts(&batch, "creditCard"));
    let mut size = 0;
    for row in 0..10_000 {
        let word = |field| scalar::word(7, row as u64 * 50, field);
        let (first, last) = scalar::draws(word(0), 11, 9);
        assert_eq!(
            names[row],
            format!("{} {}", person::FIRST_NAMES[first as usize], person::LAST_NAMES[last as usize])
        );
        let (city, state) = scalar::draws(word(4), 10, 6);
        assert_eq!((cities[row], states[row]), (person::CITIES[city as usize], person::STATES[state as usize]));
        let (mailbox, domain) = emails[row].strip_suffix(".com").unwrap().split_once('@').unwrap();
        assert_eq!(mailbox.len() as u64, 3 + scalar::draws(word(1), 4, 1).0);
        assert_eq!(domain.len() as u64, 3 + scalar::draws(word(2), 2, 1).0);
        let groups: Vec<u32> = cards[row].split(' ').map(|group| group.parse().unwrap()).collect();
        let expected: Vec<u32> =
            (0..4).map(|group| ((((word(3) >> (16 * group)) & 0xffff) * 10_000) >> 16) as u32).collect();
        assert_eq!((groups, cards[row].len()), (expected, 19));
        let extra = texts(&batch, "extra")[row].len();
        size += 27 + names[row].len() + emails[row].len() + cities[row].len() + 2 + extra;
    }
    assert!((195..=205).contains(&(size / 10_000)));
    let extra = texts(&batch, "extra");
    assert!(extra.iter().all(|text| text.len() > 80 && text.len() < 200));
}

#[test]
fn proportions_are_the_benchmarks() {
    let events = 0..1_000_000;
    let bids = rows("bid", &[], events.clone());
    assert_eq!(bids.num_rows(), 920_000);
    assert_eq!(rows("auction", &[], events.clone()).num_rows(), 60_000);
    assert_eq!(rows("person", &[], events.clone()).num_rows(), 20_000);

    let share = |count: usize| count as f64 / bids.num_rows() as f64;
    let near = |value: f64, expected: f64| (value - expected).abs() < 0.005;
    let auctions = longs(&bids, "auction");
    // Half on the hot auction, and one in a hundred of the others meets a multiple of 100 too.
    let hot = share(auctions.iter().filter(|auction| *auction % 100 == 0).count());
    assert!(near(hot, 0.5 + 0.5 / 100.0), "{hot}");
    let hot = share(longs(&bids, "bidder").iter().filter(|bidder| *bidder % 100 == 1).count());
    assert!(near(hot, 0.75 + 0.25 / 100.0), "{hot}");
    let prices = longs(&bids, "price");
    assert!(prices.iter().all(|price| (100..=100_000_000).contains(price)));
    for decade in 2..8 {
        let within = prices.iter().filter(|price| (10i64.pow(decade)..10i64.pow(decade + 1)).contains(price)).count();
        assert!(near(share(within), 1.0 / 6.0), "decade {decade}: {within}");
    }
    let mut channels: BTreeMap<&str, usize> = BTreeMap::new();
    texts(&bids, "channel").iter().for_each(|channel| *channels.entry(*channel).or_default() += 1);
    for hot in ["Google", "Facebook", "Baidu", "Apple"] {
        assert!(near(share(channels[hot]), 0.125));
    }
    assert_eq!(channels.len(), 10_004, "all the others are seen in 460 000 bids");
    let with_id = share(texts(&bids, "url").iter().filter(|url| url.contains("channel_id=")).count());
    assert!(near(with_id, 0.45), "{with_id}");
    let padding: usize = texts(&bids, "extra").iter().map(|extra| extra.len()).sum();
    assert!((share(padding) - 67.5).abs() < 0.5, "32 bytes of numbers and this make about 100");
}

#[tokio::test]
async fn rows_are_the_same_under_every_parallelism() {
    for (entity, events) in [("bid", 12_345), ("auction", 100_001), ("person", 100_000)] {
        let table = table(entity, &[("events.num", &events.to_string()), ("seed", "3")]);
        let expected = lines(&[rows(entity, &[("seed", "3")], 0..events)]);
        for parallelism in [1, 2, 3, 5] {
            let mut batches = Vec::new();
            for subtask in 0..parallelism {
                batches.extend(
                    read(&mut opened(&table, subtask, parallelism, &Checkpoint::default()).await, usize::MAX).await,
                );
            }
            assert!(batches.iter().all(|batch| batch.num_rows() <= 150), "batches have the size that was asked for");
            assert_eq!(lines(&batches), expected, "{entity} at {parallelism}");
        }
    }
}

#[tokio::test]
async fn a_source_goes_on_at_every_event() {
    let options = [("events.num", "2150"), ("batch.rows", "1")];
    let table = table("bid", &options);
    let expected = lines(&[rows("bid", &options, 0..2150)]);
    let mut first = opened(&table, 0, 1, &Checkpoint::default()).await;
    let mut head = Vec::new();
    loop {
        let mut rest = Vec::new();
        for subtask in 0..2 {
            let mut source = opened(&table, subtask, 2, &first.checkpoint()).await;
            rest.extend(read(&mut source, usize::MAX).await);
        }
        let both: Vec<RecordBatch> = head.iter().cloned().chain(rest).collect();
        assert_eq!(lines(&both), expected, "after {} batches", head.len());
        // Every position is resumed from, but most of the time goes into comparing: in larger steps later on.
        let more = read(&mut first, if head.len() < 60 { 1 } else { 37 }).await;
        if more.is_empty() {
            break;
        }
        head.extend(more);
    }
}

#[tokio::test]
async fn only_what_is_read_is_made_and_preloading_changes_nothing() {
    let mut table = table("bid", &[("events.num", "5000"), ("preload", "true")]);
    table.projection = Some(vec![2, 0]);
    let batches = read(&mut opened(&table, 0, 1, &Checkpoint::default()).await, usize::MAX).await;
    let all = rows("bid", &[], 0..5000);
    assert_eq!(lines(&batches), lines(&[all.project(&[2, 0]).unwrap()]));
    table.projection = Some(vec![]);
    let batches = read(&mut opened(&table, 0, 1, &Checkpoint::default()).await, usize::MAX).await;
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 4600);
}

#[test]
fn declared_columns_must_be_the_entitys() {
    let mut declared = table("auction", &[]);
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    let with = |fields: Vec<Field>| Arc::new(Schema::new(fields));
    declared.schema = with(vec![Field::new("DATETIME", time, true), Field::new("seller", DataType::Int64, true)]);
    Nexmark.validate(&declared, Role::Source).unwrap();
    let batch = Generator::new(&declared).unwrap().rows(std::slice::from_ref(&(0..50))).unwrap();
    assert_eq!((batch.num_columns(), batch.num_rows()), (2, 3));

    declared.schema = with(vec![Field::new("seller", DataType::Int32, true)]);
    let error = Nexmark.validate(&declared, Role::Source).unwrap_err();
    assert!(error.to_string().contains("'seller'") && error.help().unwrap().contains("BIGINT"));
    declared.schema = with(vec![Field::new("bidder", DataType::Int64, true)]);
    let error = Nexmark.validate(&declared, Role::Source).unwrap_err();
    assert!(error.to_string().contains("'bidder'") && error.help().unwrap().contains("seller"));
}

#[test]
fn wrong_options_are_user_errors() {
    let checked = |options: &[(&str, &str)]| {
        let mut wrong = table("bid", &[]);
        wrong.options.extend(options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Nexmark.validate(&wrong, Role::Source)
    };
    checked(&[("start-time", "2020-02-29T10:00:00")]).unwrap();
    for wrong in [
        [("nexmark.table", "bids")],
        [("rate", "0")],
        [("events.num", "many")],
        [("start-time", "yesterday")],
        [("preload", "true")],
        [("realtime", "1")],
        [("batch.rows", "0")],
    ] {
        let error = checked(&wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User);
        assert!(error.to_string().contains(wrong[0].0), "{error}");
    }
    assert!(Nexmark.default_schema(&BTreeMap::new()).unwrap_err().to_string().contains("nexmark.table"));
}
