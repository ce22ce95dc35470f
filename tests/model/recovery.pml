/* recovery.pml: the rules of supervisor/recovery that keep it from making things worse, without its numbers: who may
 * start an action when, what a crash of the daemon may forget, and where a failure ends. Times are abstract: whatever
 * waits for a timer happens at some time. One attempt for each rung of the ladder; one probe says that it fails or is
 * good again. A step of the core is one atomic block here, as it is there; beside it run the world, the probes, the
 * timers and the drivers of the actions.
 *
 * What befalls the model, so that each run stays small: always a gateway that fails and is mended, an engine that goes
 * and comes, mass failure with its canaries, trials out of quarantine; and with
 *   -DN=2       two tenants (and no trials)
 *   -DPEOPLE    pause, stop, release, restart by hand
 *   -DPROXIES   proxies that die and are relaunched beside their tenant's action
 *   -DCRASHES   kill -9 of the daemon at any moment, which forgets all but the store; budgets
 *   -DLIES      probes that take time and may be of no use
 *   -DAPART     a gateway that does not wait for its proxy
 *   -DDOWN      gateways that end, by themselves or with the engine: starting what is down disturbs nothing, so the
 *               first start waits for no canary, what went with the engine is put back while the host settles, and in
 *               quarantine it is started again
 *
 * Each guard can be left out, and test_model.sh shows that each leaves a counterexample: NO_ENGINE NO_SETTLING NO_MASS
 * NO_OBSERVE NO_PAUSE NO_HELD NO_QUARANTINE NO_BUSY NO_NEIGHBOUR NO_PROXY_BUSY NO_DEPENDENCY NO_IN_FLIGHT NO_PUT_OFF
 * NO_VOID NO_UNKNOWN NO_BUDGET NO_INTENT NO_ONCE NO_LISTED (an assertion fails); NO_TOP NO_WAY_BACK NO_SETTLED NO_GIVE_BACK (a failure
 * never ends, or a tenant never gets well). */
#ifndef N
#define N 1
#endif
#ifndef CAP
#define CAP 1    /* actions in flight on the host */
#endif
#define BUDGET 2 /* restarts within the window */

#ifdef DOWN
#define DOWN_NOW (ended[t])
#define PUT_BACK (with_engine[t])
#define FIRST (ended[t] && rung[t] == 0 && !trial[t])
#else
#define DOWN_NOW false
#define PUT_BACK false
#define FIRST false
#endif
#ifdef NO_ONCE
#define ONCE DOWN_NOW
#else
#define ONCE (FIRST && plan[t] == RESTART)
#endif
#ifdef NO_ENGINE
#define G_ENGINE true
#else
#define G_ENGINE (!engine_down)
#endif
#ifdef NO_SETTLING
#define G_SETTLING true
#else
#define G_SETTLING (!settling || PUT_BACK)
#endif
#ifdef NO_MASS
#define G_MASS true
#else
#define G_MASS (!mass || canary || ONCE || PUT_BACK)
#endif
#ifdef NO_OBSERVE
#define G_OBSERVE true
#else
#define G_OBSERVE (!observing)
#endif
#ifdef NO_PAUSE
#define G_PAUSE true
#else
#define G_PAUSE (!paused[t])
#endif
#ifdef NO_BUSY
#define G_BUSY true
#else
#define G_BUSY (act[t] == NONE)
#endif
#ifdef NO_NEIGHBOUR
#define G_NEIGHBOUR true
#else
#define G_NEIGHBOUR (plan[t] != ALL || proxy[t] != RELAUNCHING)
#endif
#ifdef NO_PROXY_BUSY
#define G_PROXY_BUSY true
#else
#define G_PROXY_BUSY (act[t] == NONE || what[t] != ALL)
#endif
#if defined(NO_DEPENDENCY) || defined(APART)
#define G_DEPENDENCY true
#else
#define G_DEPENDENCY (proxy[t] == SERVES)
#endif
#ifdef NO_IN_FLIGHT
#define G_IN_FLIGHT true
#else
#define G_IN_FLIGHT (in_flight < CAP)
#endif
#if defined(NO_BUDGET) || !defined(CRASHES)
#define G_BUDGET true
#else
#define G_BUDGET (rows[t] < BUDGET)
#endif
#ifdef NO_VOID
#define G_FRESH true
#else
#define G_FRESH (!stale[t])
#endif

mtype = { NOTHING, RESTART, ALL, REDEPLOY };        /* what is planned or done */
mtype = { NONE, DECIDED, RUNNING };                 /* an action: its intent is written, the engine was called */
mtype = { STARTING, HEALTHY, BACKOFF, ACTING, QUARANTINED, HELD };
mtype = { SERVES, DEAD, RELAUNCHING };              /* the proxy */
mtype = { IDLE, GOOD, BAD, BLIND };                 /* a probe under way, by what it will say */

/* ---- what is true */
bool engine = true;       /* it answers */
bool ill[N];              /* the gateway does not work, and goes on not to */
bool quiet;               /* the world has done its worst */
byte on_gateway[N], on_proxy[N]; /* how many drivers have their hands on it */
bool stopped[N];          /* stopped by a person, and not long ago */
#ifdef DOWN
bool ended[N], went[N];   /* it does not run; it went with the engine */
bool with_engine[N];      /* so the core thinks */
#endif
byte spent[N];            /* automatic restarts within the window, as anybody would count them */

/* ---- the core */
mtype state[N] = STARTING;
mtype plan[N] = NOTHING;
mtype proxy[N] = SERVES;
bit fails[N];           /* a probe failed since it was last good */
bool good[N];             /* the last probes are good */
byte rung[N];             /* 0 nothing done yet, 1 restarted, 2 all restarted, 3 redeployed */
bool quarantined[N], trial[N], asked[N], paused[N];
bool engine_down, settling, mass, canary, observing;
byte in_flight;
mtype act[N] = NONE;
mtype what[N] = NOTHING;
bool by_operator[N], act_trial[N];
/* ---- the store */
byte rows[N];
bool kept_quarantine[N], kept_hold[N];
/* ---- probes */
mtype probe[N] = IDLE;
bool stale[N];            /* the one under way began before something that changed everything */

inline void_probes(t)
{
	fails[t] = 0;
	good[t] = false;
	if
	:: probe[t] != IDLE -> stale[t] = true
	:: else
	fi
}

inline quarantine(t)
{
	state[t] = QUARANTINED;
	quarantined[t] = true;
	kept_quarantine[t] = true;
	trial[t] = false;
	plan[t] = NOTHING
}

/* What comes next after a failure: the next rung that its budget allows, or quarantine. */
inline failed(t)
{
	good[t] = false;
	if
	:: quarantined[t] -> quarantine(t)
	:: else ->
		if
		:: rung[t] == 0 && G_BUDGET -> plan[t] = RESTART; state[t] = BACKOFF
		:: rung[t] <= 1 && !(rung[t] == 0 && G_BUDGET) && G_BUDGET -> plan[t] = ALL; state[t] = BACKOFF
		:: rung[t] <= 2 && !G_BUDGET -> plan[t] = REDEPLOY; state[t] = BACKOFF
		:: rung[t] == 2 && G_BUDGET -> plan[t] = REDEPLOY; state[t] = BACKOFF
		:: rung[t] == 3 ->
#ifdef NO_TOP
			plan[t] = REDEPLOY; state[t] = BACKOFF /* for ever */
#elif defined(NO_QUARANTINE)
			state[t] = QUARANTINED; quarantined[t] = true; kept_quarantine[t] = true; plan[t] = REDEPLOY
#else
			quarantine(t)
#endif
		fi
	fi
}

inline put_off(t)
{
#ifdef NO_PUT_OFF
	skip
#else
	plan[t] = NOTHING
#endif
}

inline healthy(t)
{
	state[t] = HEALTHY;
	put_off(t);
	quarantined[t] = false;
	kept_quarantine[t] = false;
	trial[t] = false
}

/* ---- the laws, checked whenever an action starts */
inline laws_of_start(t)
{
	assert(!engine_down);
#ifndef APART
	assert(proxy[t] == SERVES);
#endif
	assert(act[t] == NONE);
	assert(in_flight < CAP);
	if
	:: asked[t] /* a person knows what he does */
	:: else ->
#ifdef DOWN
		assert(!settling || went[t]);
		assert(!mass || canary || went[t] || FIRST);
#else
		assert(!settling && (!mass || canary));
#endif
		assert(!observing);
		assert(!paused[t]);
		assert(!stopped[t]);
		assert(!quarantined[t] || trial[t]);
		assert(!good[t])
	fi
}

/* The intent, written before the act. */
inline charge(t)
{
#ifdef CRASHES
	if
	:: what[t] != REDEPLOY && rows[t] < BUDGET -> rows[t]++
	:: else
	fi
#else
	skip
#endif
}

/* The engine is called. */
inline call(t)
{
	act[t] = RUNNING;
	on_gateway[t]++;
	assert(on_gateway[t] == 1);
	if
	:: what[t] == ALL -> on_proxy[t]++; assert(on_proxy[t] == 1)
	:: else
	fi;
#ifdef CRASHES
	if
	:: what[t] != REDEPLOY && !by_operator[t] && !act_trial[t] -> spent[t]++; assert(spent[t] <= BUDGET)
	:: else
	fi
#endif
}

inline start(t)
{
	laws_of_start(t);
	by_operator[t] = asked[t];
	act_trial[t] = trial[t];
	what[t] = (asked[t] -> RESTART : plan[t]);
	act[t] = DECIDED;
	in_flight++;
	canary = (asked[t] -> canary : false);
	stopped[t] = false; /* whoever asks for a start ends his hold */
	kept_hold[t] = false;
	asked[t] = false;
	plan[t] = NOTHING;
	state[t] = ACTING;
	void_probes(t);
	if
	:: by_operator[t] || trial[t] || PUT_BACK /* no attempt of the ladder */
	:: !by_operator[t] && !trial[t] && !PUT_BACK && what[t] == RESTART -> rung[t] = 1
	:: !by_operator[t] && !trial[t] && what[t] == ALL -> rung[t] = 2
	:: !by_operator[t] && !trial[t] && what[t] == REDEPLOY -> rung[t] = 3
	fi
	;
#ifdef DOWN
	with_engine[t] = false;
#endif
#ifndef NO_INTENT
	charge(t);
#endif
#ifndef CRASHES
	call(t)
#endif
}

/* ---- due plans, starts out of the core, deadlines */
proctype Timer(byte t)
{
	do
	:: atomic { /* the operator's restart waits for the engine and the laws of the house only */
		asked[t] && G_ENGINE && G_BUSY && G_DEPENDENCY && G_IN_FLIGHT -> start(t)
	   }
	:: atomic {
		plan[t] != NOTHING && !asked[t] && G_ENGINE && G_SETTLING && G_OBSERVE && G_MASS && G_PAUSE && G_BUSY &&
			G_NEIGHBOUR && G_DEPENDENCY && G_IN_FLIGHT ->
		if
		:: plan[t] != REDEPLOY && !trial[t] && !G_BUDGET -> failed(t) /* used up between plan and start */
		:: else -> start(t)
		fi
	   }
	:: atomic { /* the start deadline; it says nothing while the host is frozen */
		state[t] == STARTING && fails[t] > 0 && !engine_down && !settling -> failed(t)
	   }
#ifdef DOWN
	:: atomic { /* some minutes in quarantine */
		ended[t] && state[t] == QUARANTINED && plan[t] == NOTHING ->
		plan[t] = RESTART; trial[t] = true; state[t] = BACKOFF
	   }
#endif
	:: atomic { /* long enough stable */
		state[t] == STARTING && good[t] -> healthy(t)
	   }
	od
}

/* A dead proxy is relaunched at once, on its kept sockets: no guard but the operator's pause. */
proctype Proxy(byte t)
{
	do
	:: atomic {
		proxy[t] == DEAD && G_PAUSE && G_PROXY_BUSY ->
		proxy[t] = RELAUNCHING;
		on_proxy[t]++;
		assert(on_proxy[t] == 1)
	   }
	:: atomic {
		proxy[t] == RELAUNCHING -> on_proxy[t]--; proxy[t] = SERVES
	   }
	od
}

inline over(t)
{
#ifndef NO_GIVE_BACK
	in_flight--;
#endif
	act[t] = NONE;
#ifdef NO_INTENT
	charge(t);
#endif
	void_probes(t)
}

proctype Driver(byte t)
{
	do
	:: atomic {
		act[t] == DECIDED -> call(t)
	   }
	:: atomic {
		act[t] == RUNNING ->
		on_gateway[t]--;
		if
		:: what[t] == ALL -> on_proxy[t]--
		:: else
		fi;
		over(t);
#ifdef DOWN
		if
		:: engine -> ended[t] = false; went[t] = false
		:: else
		fi;
#endif
		if
		:: !engine && !quarantined[t] && what[t] == REDEPLOY -> rung[t] = 2 /* costs nothing */
		:: engine && !quiet -> ill[t] = false /* it helped */
		:: else
		fi;
		if
		:: !engine || ill[t] -> failed(t) /* the engine went away, or it died at once */
		:: engine -> state[t] = STARTING
		fi;
		act_trial[t] = false;
		by_operator[t] = false;
		what[t] = NOTHING
	   }
	od
}

inline result(t)
{
	if
	:: !G_FRESH || act[t] != NONE
	:: G_FRESH && act[t] == NONE && probe[t] == BLIND ->
#ifdef NO_UNKNOWN
		if
		:: fails[t] == 0 -> fails[t] = 1; assert(probe[t] == BAD)
		:: else
		fi
#else
		skip
#endif
	:: G_FRESH && act[t] == NONE && probe[t] == GOOD ->
		assert(!stale[t]);
		fails[t] = 0;
		if
		:: state[t] == HEALTHY || state[t] == STARTING -> good[t] = true
		:: state[t] == BACKOFF && !trial[t] -> state[t] = STARTING; put_off(t); good[t] = true
#ifndef NO_WAY_BACK
		:: state[t] == QUARANTINED || (state[t] == BACKOFF && trial[t]) ->
			state[t] = STARTING; put_off(t); trial[t] = false; good[t] = true
#endif
		:: else
		fi
	:: G_FRESH && act[t] == NONE && probe[t] == BAD ->
		assert(!stale[t]);
		good[t] = false;
		if
		:: !engine_down && fails[t] == 0 -> fails[t] = 1
		:: else
		fi;
		if
		:: state[t] == HEALTHY && fails[t] > 0 -> failed(t)
		:: else
		fi
	fi;
	probe[t] = IDLE;
	stale[t] = false
}

/* Takes a while (with -DLIES): what it will say is settled when it begins. */
proctype Probe(byte t)
{
	do
	:: atomic {
		probe[t] == IDLE && act[t] == NONE ->
		if
		:: ill[t] || stopped[t] || DOWN_NOW -> probe[t] = BAD
		:: !ill[t] && !stopped[t] && !DOWN_NOW -> probe[t] = GOOD
#ifdef LIES
		:: !quiet -> probe[t] = BLIND /* no file descriptor, no memory: our own fault */
#endif
		fi;
#ifndef LIES
		result(t)
#endif
	   }
#ifdef LIES
	:: atomic {
		probe[t] != IDLE -> result(t)
	   }
#endif
	od
}

#ifdef DOWN
#define LISTED (!ended[0] || (state[0] != HEALTHY && state[0] != STARTING)) /* first everything is listed */
#else
#define LISTED true
#endif
/* The pings of the engine, and the host's own timers. */
proctype Host()
{
	byte i;
	do
	:: atomic {
		!engine && !engine_down -> engine_down = true
	   }
	:: atomic {
		engine && engine_down ->
		engine_down = false;
		settling = true;
		i = 0;
		do
		:: i < N -> fails[i] = 0; i++
		:: else -> break
		od;
		i = 0
	   }
#ifdef DOWN
	:: atomic { /* the list: what it shows as ended, and nobody told of, while the host settles, went with the engine */
		engine && !engine_down && ended[i] && act[i] == NONE && (state[i] == HEALTHY || state[i] == STARTING) ->
		void_probes(i);
		if
		:: settling -> state[i] = BACKOFF; plan[i] = RESTART; with_engine[i] = true
		:: else -> failed(i)
		fi
	   }
#endif
#ifndef NO_SETTLED
	:: settling && !engine_down && LISTED -> settling = false
#endif
	:: observing -> observing = false
	:: mass && quiet -> mass = false
	od
}

inline people(t)
{
	if
	:: paused[t] = !paused[t]
	:: !asked[t] -> asked[t] = true
	:: state[t] != ACTING && state[t] != QUARANTINED && state[t] != HELD && !engine_down -> /* docker stop */
		void_probes(t);
		state[t] = HELD;
		stopped[t] = true;
		kept_hold[t] = true;
#ifndef NO_HELD
		plan[t] = NOTHING
#else
		skip
#endif
	:: state[t] == HELD -> hold_over(t)
	:: quarantined[t] && state[t] == QUARANTINED -> /* release */
		quarantined[t] = false;
		kept_quarantine[t] = false;
		rung[t] = 0;
		stopped[t] = false;
		kept_hold[t] = false;
		state[t] = STARTING
	fi
}

inline hold_over(t)
{
	state[t] = STARTING;
	stopped[t] = false;
	kept_hold[t] = false;
	void_probes(t)
}

/* kill -9 of the daemon, at any moment: what is not in the store is forgotten. */
inline crash(t)
{
	on_gateway[t] = 0;
	on_proxy[t] = 0;
	act[t] = NONE;
	what[t] = NOTHING;
	by_operator[t] = false;
	act_trial[t] = false;
	in_flight = 0;
	plan[t] = NOTHING;
	asked[t] = false;
	trial[t] = false;
	rung[t] = 0;
	fails[t] = 0;
	good[t] = false;
	probe[t] = IDLE;
	stale[t] = false;
	proxy[t] = SERVES; /* handed over, or launched anew before anything else */
	quarantined[t] = kept_quarantine[t];
	state[t] = (kept_quarantine[t] -> QUARANTINED : (kept_hold[t] -> HELD : STARTING));
	engine_down = false;
	settling = false;
	mass = false;
	canary = false;
	observing = true
}

active proctype World()
{
	byte t;
	do
	:: atomic {
		if
		:: t = 0
#if N == 2
		:: t = 1
#endif
		fi;
		if
		:: ill[t] = !ill[t]
		:: engine = !engine
		:: mass = !mass
		:: mass && !canary -> canary = true
#ifdef PROXIES
		:: proxy[t] == SERVES && G_PROXY_BUSY -> proxy[t] = DEAD
#endif
#ifdef DOWN
		:: engine && !ended[t] && act[t] == NONE && (state[t] == HEALTHY || state[t] == STARTING) ->
			ended[t] = true; /* and we are told */
			void_probes(t);
#ifdef NO_LISTED
			if
			:: settling && !quarantined[t] -> state[t] = BACKOFF; plan[t] = RESTART; with_engine[t] = true
			:: else -> failed(t)
			fi
#else
			failed(t)
#endif
		:: engine && !ended[t] && act[t] == NONE && state[t] == HEALTHY -> /* nobody is told */
			engine = false; ended[t] = true; went[t] = true
#endif
		:: state[t] == HEALTHY && rung[t] > 0 -> rung[t] = 0 /* half a healthy hour */
#if N == 1
		:: state[t] == QUARANTINED && plan[t] == NOTHING -> /* six hours later */
			plan[t] = REDEPLOY; trial[t] = true; state[t] = BACKOFF;
			stopped[t] = false; kept_hold[t] = false /* a hold is five minutes */
#endif
#ifdef PEOPLE
		:: people(t)
#endif
#ifdef CRASHES
		:: crash(t)
		:: spent[t] > 0 && rows[t] > 0 -> spent[t]--; rows[t]-- /* the oldest leaves the window */
#endif
		fi;
		t = 0
	   }
	:: atomic { /* the weather clears; who is ill stays ill */
		engine = true;
		t = 0;
		do
		:: t < N ->
			paused[t] = false;
			if
#ifdef PEOPLE
			:: state[t] == HELD -> hold_over(t)
#endif
			:: else
			fi;
			t++
		:: else -> break
		od;
		t = 0;
		quiet = true;
		break
	   }
	od
}

init {
	byte i;
	atomic {
		run Host();
		do
		:: i < N -> run Timer(i); run Driver(i); run Probe(i);
#ifdef PROXIES
			run Proxy(i);
#endif
			i++
		:: else -> break
		od
	}
}

#define last (N - 1)
/* A failure that stays ends in quarantine; what is well ends healthy. Of any tenant: the last one stands for all. */
ltl persistent { (<> (quiet && ill[last])) -> (<> [] (quarantined[last])) }
ltl recovers { (<> (quiet && !ill[last])) -> (<> [] (state[last] == HEALTHY)) }
