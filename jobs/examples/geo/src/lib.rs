//! Functions for SQL: how far places are from each other, in which cell of the globe a place is, and where the middle of many places is.
//!
//! ```sql
//! CREATE FUNCTION distance_km AS 'distance_km' USING ARTIFACT 'target/release/libgeo.so';
//! CREATE FUNCTION geohash AS 'geohash' USING ARTIFACT 'target/release/libgeo.so';
//! CREATE FUNCTION centre AS 'centre' USING ARTIFACT 'target/release/libgeo.so';
//!
//! SELECT geohash(lat, lon, 5) AS cell, COUNT(*) AS rides, AVG(distance_km(lat, lon, to_lat, to_lon)) AS km, centre(to_lat, to_lon) AS towards
//! FROM TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '1' HOUR) GROUP BY window_start, window_end, geohash(lat, lon, 5);
//! ```
//!
//! A distance is a long expression of SQL, and a geohash is none.

use weir_jobs::prelude::*;

/// The mean radius of the Earth.
const EARTH_KM: f64 = 6371.0088;

/// The letters of a geohash, five bits each.
const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// What SQL can call.
pub fn functions(functions: &mut Functions) {
    functions.scalar("distance_km", distance_km).parameters(["lat", "lon", "to_lat", "to_lon"]);
    functions.scalar("geohash", geohash).parameters(["lat", "lon", "letters"]);
    functions.scalar("cells", cells).parameters(["lat", "lon", "most"]);
    functions.aggregate("centre", Centre);
}

/// Kilometres between two places along a great circle, by the haversine formula.
pub fn distance_km(lat: f64, lon: f64, to_lat: f64, to_lon: f64) -> f64 {
    let half_chord = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let across =
        half_chord(to_lat - lat) + lat.to_radians().cos() * to_lat.to_radians().cos() * half_chord(to_lon - lon);
    2.0 * EARTH_KM * across.sqrt().min(1.0).asin()
}

/// The cell of a place, as G. Niemeyer's geohash names it: the more letters, the smaller.
///
/// # Errors
/// A data error if there is no such place, a user error if there is no such cell.
pub fn geohash(lat: f64, lon: f64, letters: i64) -> Result<String> {
    if !(-90.0..=90.0).contains(&lat) || !(-180.0..=180.0).contains(&lon) {
        return Err(Error::data(format!("there is no place at {lat}, {lon}")));
    }
    if !(1..=12).contains(&letters) {
        return Err(Error::user(format!("a geohash has 1 to 12 letters, and not {letters}")));
    }
    let (mut lats, mut lons) = ((-90.0, 90.0), (-180.0, 180.0));
    let mut is_lon = true;
    let mut bit = || {
        let (range, value): (&mut (f64, f64), f64) = if is_lon { (&mut lons, lon) } else { (&mut lats, lat) };
        is_lon = !is_lon;
        let middle = (range.0 + range.1) / 2.0;
        let is_upper = value >= middle;
        *(if is_upper { &mut range.0 } else { &mut range.1 }) = middle;
        usize::from(is_upper)
    };
    let mut letter = || char::from(LETTERS[(0..5).fold(0, |letter, _| letter * 2 + bit())]);
    Ok((0..letters).map(|_| letter()).collect())
}

/// The cells that a place is in, from the largest to that with the most letters: several rows of one with `CROSS JOIN UNNEST(cells(…))`.
///
/// # Errors
/// As [`geohash`].
pub fn cells(lat: f64, lon: f64, most: i64) -> Result<Vec<String>> {
    let smallest = geohash(lat, lon, most)?;
    Ok((1..=smallest.len()).map(|letters| smallest[..letters].to_owned()).collect())
}

/// A place.
#[derive(Record, Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Degrees to the north.
    pub lat: f64,
    /// Degrees to the east.
    pub lon: f64,
}

/// The middle of places: the mean of their directions from the middle of the Earth. So it is right at the poles too, and where the last
/// day meets the next. Places that are as far in one direction as in the other have none.
#[derive(Debug, Clone)]
pub struct Centre;

/// Below this a sum of directions is none, but what rounding has left.
const NO_DIRECTION: f64 = 1e-9;

impl Aggregate for Centre {
    type In = Place;
    type Accumulator = (f64, f64, f64);
    type Out = Option<Place>;

    fn add(&self, (x, y, z): &mut (f64, f64, f64), place: &Place) {
        let (lat, lon) = (place.lat.to_radians(), place.lon.to_radians());
        *x += lat.cos() * lon.cos();
        *y += lat.cos() * lon.sin();
        *z += lat.sin();
    }

    fn merge(&self, (x, y, z): &mut (f64, f64, f64), other: (f64, f64, f64)) {
        *x += other.0;
        *y += other.1;
        *z += other.2;
    }

    fn result(&self, (x, y, z): &(f64, f64, f64)) -> Option<Place> {
        let across = x.hypot(*y);
        (across.hypot(*z) > NO_DIRECTION)
            .then(|| Place { lat: z.atan2(across).to_degrees(), lon: y.atan2(*x).to_degrees() })
    }
}

weir_jobs::export!(functions: functions);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_as_far_apart_as_they_are() {
        let (berlin, lisbon) = ((52.52, 13.405), (38.722_3, -9.139_3));
        let km = distance_km(berlin.0, berlin.1, lisbon.0, lisbon.1);
        assert!((2310.0..2316.0).contains(&km), "{km}");
        assert!(distance_km(10.0, 20.0, 10.0, 20.0).abs() < 1e-9);
    }

    #[test]
    fn the_middle_of_places_is_between_them() {
        let middle = |places: &[(f64, f64)]| {
            let mut sum = (0.0, 0.0, 0.0);
            places.iter().for_each(|(lat, lon)| Centre.add(&mut sum, &Place { lat: *lat, lon: *lon }));
            let mut halves = (0.0, 0.0, 0.0);
            Centre.merge(&mut halves, sum);
            Centre.result(&halves).map(|place| (place.lat.round(), place.lon.round()))
        };
        assert_eq!(middle(&[(10.0, 20.0), (30.0, 20.0)]), Some((20.0, 20.0)));
        assert_eq!(
            middle(&[(0.0, 170.0), (0.0, -150.0)]).map(|(lat, lon)| (lat, lon.abs())),
            Some((0.0, 170.0)),
            "across the date line"
        );
        assert_eq!(middle(&[(80.0, 0.0), (80.0, 180.0)]).map(|(lat, _)| lat), Some(90.0));
        assert_eq!(middle(&[(0.0, 0.0), (0.0, 180.0)]), None);
        assert_eq!(middle(&[]), None);
    }

    #[test]
    fn a_cell_has_the_name_that_others_give_it() -> Result<()> {
        // The example of Wikipedia's article.
        assert_eq!(geohash(57.649_11, 10.407_44, 11)?, "u4pruydqqvj");
        assert_eq!(geohash(48.669, -4.329, 5)?, "gbsuv");
        assert_eq!(cells(48.669, -4.329, 3)?, ["g", "gb", "gbs"]);
        assert!(geohash(91.0, 0.0, 5).is_err());
        assert!(geohash(0.0, 0.0, 13).is_err());
        Ok(())
    }
}
