//! What `--help` teaches behind the list of arguments.

pub(super) const SUBMIT: &str = "\
Examples:
  weir submit delays.sql                    run it in the cluster and watch it; ^C leaves it running
  weir submit delays.sql --detach           submit it and return
  weir submit select.sql --output csv       a SELECT: its rows are printed here; ^C cancels it
  weir submit delays.sql -p 8 --name delays --namespace flights
  weir submit -e \"$(cat delays.sql)\" -D restart-strategy.type=none
  weir submit delays.sql --coordinators c1:7420,c2:7420,c3:7420

The script is planned here; the cluster gets the dataflow. Relative paths in its tables start from this working directory, and have
to be there, under the same name, on the workers. Submitting the same job under the same name once more changes nothing and
watches the one that is there; with other settings, such as another interval, error policy or parallelism, it goes on with those and
keeps its state.

A SELECT without INSERT is a job for as long as this command reads its rows, and goes through the cluster's checkpoint storage, which
has to be reached from here. Rows are printed on stdout, each once, when their checkpoint is complete: every second, unless
execution.checkpointing.interval says otherwise. ^C, SIGTERM and a reader who goes away (`| head`) cancel the job; however it ends, it
is deleted, and rows that were not printed with it. --detach and --stop-on-interrupt are of no use to it, and refused.

Exit codes are those of `weir run`: 0 when the job has finished or was stopped, 2 to 4 when it has failed, 2 also
when somebody cancelled it, 130 after ^C.";

pub(super) const JOBS: &str = "\
Examples:
  weir jobs list                            what runs, in all namespaces
  weir jobs describe delays                 all about one; by name, by namespace/name, or by number
  weir jobs doctor delays                   why it gives no output, and what to do; the exit code is 5 if something is found
  weir jobs savepoint delays                a checkpoint that is kept until it is deleted
  weir jobs stop delays                     with a savepoint; `restart` goes on from there
  weir jobs stop delays --drain             its windows fire first: the input counts as ended
  weir jobs rescale delays -p 8             go on with 8 slots; says so if there are fewer, and --wait waits for them
  weir jobs rescale delays -p auto          as many as there are slots for it, from now on
  weir jobs autoscale delays --dry-run      what its load would decide; --on has it done
  weir jobs autoscale delays                what was decided, and why
  weir jobs restart delays --from 12        go back to checkpoint 12
  weir jobs cancel delays && weir jobs delete delays
  weir jobs delete delays --discard-results without results that are decided and cannot be made visible any more";

pub(super) const AUTOSCALE: &str = "\
Examples:
  weir jobs autoscale delays                          who decides, what the load is, and what was decided
  weir jobs autoscale delays --dry-run --max 8        say what would be done
  weir jobs autoscale delays --on --min 2 --max 8     as many as keep its busiest part at 70 %
  weir jobs autoscale delays --target 50              change one of the numbers, and leave the others
  weir jobs autoscale delays --slots --max 16         as many as there are, as with -p auto
  weir jobs autoscale delays --off                    keep those that it has

A change stops the job with a checkpoint and has it go on from there, with no row lost or written twice. It is made when the reason for it
has held for as long as --settle says (a minute if nothing is said), and the job is left alone for as long behind it. Where slots are lost
it goes on with fewer at once.";

pub(super) const WORKERS: &str = "\
Examples:
  weir workers list
  weir workers drain w3 --wait              move its work away, before it is shut down
  weir workers undrain w3                   give it work again";

pub(super) const CHECKPOINTS: &str = "\
Examples:
  weir checkpoints list delays
  weir checkpoints delete delays 12         give a savepoint up";

pub(super) const SINKS: &str = "\
Examples:
  weir sinks audit delays                   per checkpoint that is kept: what the cluster says, and what is there
  weir sinks audit delays --json

A worker asks the systems themselves: Kafka for the record that is written in the transaction of an epoch's rows, PostgreSQL for the row
that is, a folder for its files, an object store for the object that is written behind them. It changes nothing, and the job goes on
meanwhile. Sinks that keep no account of their epochs (print, blackhole, Kafka at least once, the result of a bare SELECT) are named, and
not compared.

Ends with 0 if all agree, with 5 if one does not, or nothing could be known of it; with 2 or 4 if there is no answer at all.";

pub(super) const CATALOG: &str = "\
Scripts that are submitted may use what the catalog of their namespace declares, as if it stood before them.

Examples:
  weir catalog apply tables.sql
  weir catalog apply -e \"DROP VIEW late; CREATE OR REPLACE FUNCTION f(x INT) RETURN x + 1\"
  weir catalog list
  weir catalog show bids";

pub(super) const NAMESPACES: &str = "\
Examples:
  weir namespaces list
  weir namespaces create flights --slots 16 --state-bytes 10gb
  weir namespaces set flights --slots none  lift a limit; what is not named stays
  weir namespaces delete flights";

pub(super) const CLUSTER: &str = "\
Examples:
  weir cluster status
  weir cluster add 4 c4:7420                let another coordinator take part; start it first
  weir cluster remove 1
  weir cluster transfer-leadership --to 2   before the leader is shut down
  weir cluster init-security --dir security --hosts c1,c2,c3      a CA and certificates, for those who have none

`weir cluster status` ends with 0 if the cluster is whole, with 5 if it works and lacks something, which it names: a coordinator that is
not there, a worker that was lost within the last hour, a job that should run and does not; and with 4 if it does not answer.";
