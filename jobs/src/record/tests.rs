use arrow::array::{Array, Int32Array, RecordBatch, StringArray};
use proptest::prelude::*;

use super::*;
use crate::prelude::*;

#[derive(Record, Debug, Clone, Copy, PartialEq, Eq)]
#[record(rename_all = "snake_case")]
enum Device {
    DesktopComputer,
    #[record(name = "mobile")]
    Phone,
}

#[derive(Record, Debug, Clone, PartialEq)]
struct Place {
    city: Option<String>,
    x: f64,
}

#[derive(Record, Debug, Clone, PartialEq)]
struct Everything {
    number: i64,
    small: u8,
    flag: bool,
    text: String,
    bytes: Bytes,
    #[record(event_time)]
    at: Timestamp,
    day: Option<Date>,
    #[record(name = "cost")]
    price: Decimal<12, 3>,
    device: Device,
    maybe_device: Option<Device>,
    place: Place,
    maybe_place: Option<Place>,
    tags: Vec<String>,
    places: Option<Vec<Option<Place>>>,
    pair: (i32, Option<String>),
}

fn place() -> impl Strategy<Value = Place> {
    (proptest::option::of(".{0,20}"), -1e9..1e9).prop_map(|(city, x)| Place { city, x })
}

fn device() -> impl Strategy<Value = Device> {
    any::<bool>().prop_map(|is_phone| if is_phone { Device::Phone } else { Device::DesktopComputer })
}

prop_compose! {
    fn everything()(
        (number, small, flag, text) in (any::<i64>(), any::<u8>(), any::<bool>(), ".{0,30}"),
        (bytes, at, day) in (any::<Vec<u8>>(), any::<i64>(), any::<Option<i32>>()),
        (price, device, maybe_device) in (-999_999_999_999_i128..1_000_000_000_000, device(), proptest::option::of(device())),
        (place, maybe_place) in (place(), proptest::option::of(place())),
        tags in proptest::collection::vec(".{0,15}", 0..4),
        places in proptest::option::of(proptest::collection::vec(proptest::option::of(place()), 0..3)),
        pair in (any::<i32>(), proptest::option::of(".{0,5}")),
    ) -> Everything {
        Everything {
            number, small, flag, text, bytes: Bytes(bytes), at: Timestamp::from_millis(at), day: day.map(Date::from_days),
            price: Decimal::new(price).unwrap(), device, maybe_device, place, maybe_place, tags, places, pair,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(rows in proptest::collection::vec(everything(), 0..20), offset in 0_usize..20) {
        let batch = to_batch(&rows).unwrap();
        prop_assert_eq!(&from_batch::<Everything>(&batch).unwrap(), &rows);
        let columns = Everything::columns_reader(batch.columns(), None).unwrap();
        for (position, row) in rows.iter().enumerate() {
            prop_assert!(row.equals(&columns, position));
            let is_first = *row == rows[0];
            prop_assert_eq!(rows[0].equals(&columns, position), is_first);
        }
        let offset = offset.min(rows.len());
        let slice = batch.slice(offset, rows.len() - offset);
        prop_assert_eq!(from_batch::<Everything>(&slice).unwrap(), &rows[offset..]);
    }
}

#[test]
fn columns_are_those_that_sql_has() {
    let schema = Everything::schema();
    let column = |name: &str| schema.field_with_name(name).unwrap().clone();
    assert_eq!(column("text").data_type(), &DataType::Utf8View);
    assert_eq!(column("cost").data_type(), &DataType::Decimal128(12, 3));
    assert_eq!(column("device").data_type(), &DataType::Utf8View);
    assert!(!column("number").is_nullable() && column("day").is_nullable());
    let DataType::Struct(place) = column("place").data_type().clone() else { panic!("a ROW") };
    assert!(place.iter().all(|field| field.is_nullable() && field.metadata().is_empty()));
    assert_eq!(Everything::EVENT_TIME, Some(5));
    let texts = to_batch(&[Named { device: Device::DesktopComputer }, Named { device: Device::Phone }]).unwrap();
    let texts = arrow::compute::cast(texts.column(0), &DataType::Utf8).unwrap();
    assert_eq!(
        texts.as_any().downcast_ref::<StringArray>().unwrap(),
        &StringArray::from(vec!["desktop_computer", "mobile"])
    );
}

#[derive(Record, Debug, Clone, PartialEq)]
struct Named {
    device: Device,
}

#[derive(Record, Debug, Clone, PartialEq)]
struct Numbered {
    number: i64,
}

fn refusal<R: Record + std::fmt::Debug>(name: &str, column: ArrayRef) -> String {
    let batch = RecordBatch::try_from_iter([(name, column)]).unwrap();
    from_batch::<R>(&batch).unwrap_err().report()
}

#[test]
fn what_is_no_such_row_is_refused_where_it_stands() {
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let unknown = refusal::<Named>("device", text("fridge"));
    assert!(
        unknown.contains("Named.device: 'fridge' is no Device") && unknown.contains("desktop_computer, mobile"),
        "{unknown}"
    );
    let wrong = refusal::<Numbered>("number", text("1"));
    assert!(wrong.contains("Numbered.number: the column is of type Utf8, and the field takes Int64"), "{wrong}");
    let null = refusal::<Numbered>("number", Arc::new(arrow::array::Int64Array::from(vec![Some(1), None])));
    assert!(null.contains("Numbered.number: the column is null") && null.contains("Option"), "{null}");
    let narrow: ArrayRef = Arc::new(Int32Array::from(vec![7]));
    let batch = RecordBatch::try_from_iter([("number", narrow)]).unwrap();
    assert_eq!(from_batch::<Numbered>(&batch).unwrap(), [Numbered { number: 7 }]);
}

#[test]
fn nulls_of_a_struct_that_is_null_itself_are_none_of_its_columns() {
    #[derive(Record, Debug, Clone, PartialEq)]
    struct Row {
        place: Option<Place>,
    }
    let rows = [Row { place: None }, Row { place: Some(Place { city: None, x: 1.0 }) }];
    let batch = to_batch(&rows).unwrap();
    let DataType::Struct(_) = batch.column(0).data_type() else { panic!("a ROW") };
    assert_eq!(batch.column(0).null_count(), 1);
    assert_eq!(from_batch::<Row>(&batch).unwrap(), rows);
}

#[test]
fn decimals_are_read_and_written_as_text() {
    for text in ["0.00", "-0.05", "12.50", "99999999.99"] {
        assert_eq!(text.parse::<Decimal<10, 2>>().unwrap().to_string(), text);
    }
    assert_eq!("-1".parse::<Decimal<10, 2>>().unwrap().units(), -100);
    assert_eq!("7".parse::<Decimal<3, 0>>().unwrap().to_string(), "7");
    for wrong in ["", ".", "1.234", "100000000.00", "1e3", "+1", "--1"] {
        assert!(wrong.parse::<Decimal<10, 2>>().is_err(), "{wrong}");
    }
    let most = Decimal::<4, 2>::new(9999).unwrap();
    assert_eq!((most.checked_add(most), most.checked_sub(most)), (None, Some(Decimal::ZERO)));
}
