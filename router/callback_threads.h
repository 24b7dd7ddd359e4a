#ifndef FACET_ROUTER_CALLBACK_THREADS_H_
#define FACET_ROUTER_CALLBACK_THREADS_H_

namespace facet {

// Keeps the threads that run gRPC's client callbacks for as long as the process lives. gRPC 1.51
// ends them with the last channel that used them, and two of them may then both let go of their
// queue, which aborts the process. To be called by whoever makes a channel for callbacks; cheap to
// call again. Thread-safe.
void KeepCallbackThreads();

}  // namespace facet

#endif  // FACET_ROUTER_CALLBACK_THREADS_H_
