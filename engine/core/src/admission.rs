//! How many connections a port takes: so many in all, and so many from one address, so that one machine that opens thousands
//! leaves room for all others. It counts; whoever accepts connections closes those that get no place.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// In all.
    pub all: usize,
    /// From one address. Those of IPv6 with the same first 64 bits get half of all together: one machine may use all of these.
    pub per_address: usize,
    /// From each of this machine's own addresses, which its processes share.
    pub loopback: usize,
}

/// The places of a port.
#[derive(Debug)]
pub struct Admission {
    limits: AdmissionLimits,
    taken: Mutex<BTreeMap<IpAddr, usize>>,
}

/// One place. Dropping it makes room.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

/// Why a connection gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// All places are taken.
    Full,
    /// This address has as many as one may have.
    TooManyFromThere,
}

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too many connections; new ones are closed",
            Self::TooManyFromThere => "too many connections from one address; new ones are closed",
        })
    }
}

impl Admission {
    /// A port with all places free.
    pub fn new(limits: AdmissionLimits) -> Arc<Self> {
        Arc::new(Self { limits, taken: Mutex::default() })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `address`.
    ///
    /// # Errors
    /// If there is none.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, NoPlace> {
        // The same address may come in both of its forms.
        let address = address.to_canonical();
        let mut taken = self.taken();
        if taken.values().sum::<usize>() >= self.limits.all {
            return Err(NoPlace::Full);
        }
        let here = taken.get(&address).copied().unwrap_or(0);
        if here >= if address.is_loopback() { self.limits.loopback } else { self.limits.per_address } {
            return Err(NoPlace::TooManyFromThere);
        }
        if let Some(there) = network(address) {
            let near = taken.iter().filter(|(other, _)| network(**other) == Some(there)).map(|(_, count)| count);
            if near.sum::<usize>() >= usize::max(self.limits.all / 2, self.limits.per_address) {
                return Err(NoPlace::TooManyFromThere);
            }
        }
        taken.insert(address, here + 1);
        Ok(Place { admission: Arc::clone(self), address })
    }

    /// How many places are taken.
    pub fn in_use(&self) -> usize {
        self.taken().values().sum()
    }
}

/// The first 64 bits of an address of IPv6: all with them may be one machine's, and may be many machines'.
fn network(address: IpAddr) -> Option<u128> {
    match address {
        IpAddr::V6(address) if !address.is_loopback() => Some(address.to_bits() >> 64),
        _ => None,
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.admission.taken();
        if let Some(here) = taken.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn one_address_leaves_room_for_others() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let port = Admission::new(AdmissionLimits { all: 5, per_address: 2, loopback: 3 });
        let first = port.take(address("10.0.0.1")).unwrap();
        let _second = port.take(address("::ffff:10.0.0.1")).unwrap();
        assert_eq!(
            port.take(address("10.0.0.1")).unwrap_err(),
            NoPlace::TooManyFromThere,
            "the same in its other form"
        );
        let own: Vec<Place> = (0..3).map(|_| port.take(address("127.0.0.1")).unwrap()).collect();
        assert_eq!(port.take(address("10.0.0.2")).unwrap_err(), NoPlace::Full);
        drop(first);
        assert_eq!(port.take(address("127.0.0.1")).unwrap_err(), NoPlace::TooManyFromThere);
        drop(own);
        let _other = port.take(address("10.0.0.2")).unwrap();
        let _again = port.take(address("10.0.0.1")).unwrap();
        assert_eq!(port.in_use(), 3);
    }

    #[test]
    fn a_network_of_64_bits_leaves_room_for_others() {
        let port = Admission::new(AdmissionLimits { all: 8, per_address: 2, loopback: 3 });
        let take = |text: &str| port.take(text.parse::<IpAddr>().unwrap());
        let _one = [(); 2].map(|()| take("2001:db8:0:1::1").unwrap());
        assert_eq!(take("2001:db8:0:1::1").unwrap_err(), NoPlace::TooManyFromThere);
        let _neighbours = ["2001:db8:0:1::2", "2001:db8:0:1:ffff:ffff:ffff:ffff"].map(|address| take(address).unwrap());
        assert_eq!(take("2001:db8:0:1::3").unwrap_err(), NoPlace::TooManyFromThere);
        let _next = take("2001:db8:0:2::1").unwrap();
        let _own = [(); 3].map(|()| take("::1").unwrap());
        assert_eq!(port.in_use(), 8);
    }
}
