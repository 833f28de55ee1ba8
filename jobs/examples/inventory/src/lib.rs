//! An inventory: deliveries fill the shelves, orders take from them, and what is low is requested.
//!
//! ```text
//!   deliveries ──▶ ┌───────────┐ ──▶ shipments
//!                  │   stock   │ ──▶ requests     of more of a product, one at a time
//!   orders ──────▶ └───────────┘ ──▶ levels       what there is of a product, whenever that changes
//! ```
//!
//! An order for which there is not enough waits for the next delivery; orders of a product are served in the order in which they have come. So each is
//! shipped once, whichever of orders and deliveries is read first, and no shelf has less than nothing.

use weir_jobs::prelude::*;

/// Somebody wants some pieces of a product.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Order {
    /// Its number.
    pub id: i64,
    /// The product.
    pub product: String,
    /// How many pieces: at least one.
    pub pieces: i64,
}

/// Pieces have come.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The product.
    pub product: String,
    /// How many pieces.
    pub pieces: i64,
}

/// An order is served.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Shipment {
    /// The order.
    pub order: i64,
    /// The product.
    pub product: String,
    /// How many pieces.
    pub pieces: i64,
}

/// There is too little of a product.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Request {
    /// The product.
    pub product: String,
    /// How many pieces are to be delivered.
    pub pieces: i64,
}

/// What there is of a product.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Level {
    /// The product.
    pub product: String,
    /// Pieces on the shelf.
    pub pieces: i64,
    /// Pieces that orders wait for.
    pub wanted: i64,
    /// How often the level has changed: of two rows of a product the one with the greater number is the newer.
    pub revision: i64,
}

/// A shelf. What the first version kept was the number of pieces alone, and smaller.
#[derive(Record, Debug, Clone, Default, PartialEq)]
pub struct Shelf {
    /// Pieces that are there.
    pub pieces: i64,
    /// Pieces that were requested and have not been delivered.
    #[record(default = "0")]
    pub requested: i64,
    /// See [`Level::revision`].
    #[record(default = "0")]
    pub revision: i64,
}

/// What is kept of a product.
#[derive(State, Default)]
pub struct Product {
    /// Its shelf.
    pub shelf: ValueState<Shelf>,
    /// Orders for which there is not enough, in the order in which they have come.
    pub waiting: ListState<Order>,
}

/// Requests of more.
pub const REQUESTS: SideOutput<Request> = SideOutput::new("requests");
/// What there is.
pub const LEVELS: SideOutput<Level> = SideOutput::new("levels");

/// Serves orders, and requests what is low.
#[derive(Clone)]
struct Stock {
    /// With less than this a product is low.
    least: i64,
    /// A request fills a shelf up to this.
    full: i64,
}

type StockContext<'a> = Context<'a, String, Shipment>;

impl KeyedConnect for Stock {
    type Key = String;
    type Left = Delivery;
    type Right = Order;
    type State = Product;
    type Out = Shipment;

    fn left(&mut self, delivery: Delivery, product: &mut Product, ctx: &mut StockContext<'_>) -> Result<()> {
        let shelf = product.shelf.or_default();
        shelf.pieces += delivery.pieces;
        shelf.requested = (shelf.requested - delivery.pieces).max(0);
        self.serve(product, ctx);
        Ok(())
    }

    fn right(&mut self, order: Order, product: &mut Product, ctx: &mut StockContext<'_>) -> Result<()> {
        if order.pieces < 1 {
            return Err(Error::data(format!("order {} is for {} pieces", order.id, order.pieces)));
        }
        product.waiting.push(order);
        self.serve(product, ctx);
        Ok(())
    }
}

impl Stock {
    fn serve(&self, product: &mut Product, ctx: &mut StockContext<'_>) {
        let Product { shelf, waiting } = product;
        let shelf = shelf.or_default();
        while waiting.get(0).is_some_and(|order| order.pieces <= shelf.pieces)
            && let Some(Order { id, product, pieces }) = waiting.pop_front()
        {
            shelf.pieces -= pieces;
            ctx.emit(Shipment { order: id, product, pieces });
        }
        let wanted = waiting.iter().map(|order| order.pieces).sum();
        let name = ctx.key().clone();
        if shelf.pieces + shelf.requested - wanted < self.least {
            let pieces = self.full + wanted - shelf.pieces - shelf.requested;
            shelf.requested += pieces;
            ctx.emit_to(&REQUESTS, Request { product: name.clone(), pieces });
        }
        shelf.revision += 1;
        ctx.emit_to(&LEVELS, Level { product: name, pieces: shelf.pieces, wanted, revision: shelf.revision });
    }
}

/// The job. Arguments: `folder`, where its tables are files; `watch`, how often folders are looked at for more ("1 s"; without it the job ends behind what is
/// there); `least` (10) and `full` (50) pieces of a product.
///
/// # Errors
/// If an argument makes no sense.
pub fn inventory(job: &mut Job) -> Result<()> {
    let folder = job.argument_or("folder", "data".to_owned())?;
    let watch = job.argument_or("watch", String::new())?;
    let (least, full) = (job.argument_or("least", 10)?, job.argument_or("full", 50)?);
    if least > full {
        return Err(Error::user(format!("a shelf is full with {full} pieces, and low with less than {least}")));
    }
    job.create_table(files::<Shipment>(&folder, "shipments"));
    job.create_table(files::<Request>(&folder, "requests"));
    job.create_table(files::<Level>(&folder, "levels"));
    let deliveries = job.create_table(watched(files::<Delivery>(&folder, "deliveries"), &watch));
    let orders = job.create_table(watched(files::<Order>(&folder, "orders"), &watch));
    let stock = deliveries
        .key_by(|delivery| delivery.product.clone())
        .connect(orders.key_by(|order| order.product.clone()))
        .process("stock", Stock { least, full });
    stock.side(&REQUESTS).insert_into("requests");
    stock.side(&LEVELS).insert_into("levels");
    stock.insert_into("shipments");
    Ok(())
}

fn files<R: Record>(folder: &str, name: &str) -> Table<R> {
    Table::new(name).with("connector", "filesystem").with("path", &format!("{folder}/{name}")).with("format", "json")
}

fn watched<R: Record>(table: Table<R>, watch: &str) -> Table<R> {
    if watch.is_empty() { table } else { table.with("source.monitor-interval", watch) }
}

weir_jobs::export!(inventory);
