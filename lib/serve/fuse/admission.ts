/**
 * How many requests of one kind may wait for their results at a time; all others stand in line, in
 * order. Used by the FUSE server, so that memory stays bounded however many programs read.
 */

export interface Admission<Request> {
  /** Whether a request may be begun now; if not, it has to stand in line. */
  hasRoom(weight: number): boolean;
  /** One that was begun has to wait. */
  enter(weight: number): void;
  leave(weight: number): void;
  /** @returns false if the line is too long */
  stand(request: Request, weight: number): boolean;
  /** Takes the next one out of the line, if it may be begun now. */
  next(): Request | undefined;
  /** Takes a certain one out of the line. */
  remove(isIt: (request: Request) => boolean): Request | undefined;
}

/** Programs that wait are that many at most; each has one request. */
const LONGEST_LINE = 65_536;

/** @param limit sum of the weights of all that wait; one alone may weigh more */
export function createAdmission<Request>(limit: number): Admission<Request> {
  const line = new Map<Request, number>();
  let entered = 0;
  const fits = (weight: number): boolean => entered === 0 || entered + weight <= limit;
  return {
    hasRoom: (weight) => line.size === 0 && fits(weight),
    enter(weight) {
      entered += weight;
    },
    leave(weight) {
      entered -= weight;
    },
    stand(request, weight) {
      if (line.size >= LONGEST_LINE) return false;
      line.set(request, weight);
      return true;
    },
    next() {
      for (const [request, weight] of line) {
        if (!fits(weight)) return undefined;
        line.delete(request);
        return request;
      }
      return undefined;
    },
    remove(isIt) {
      for (const request of line.keys()) {
        if (!isIt(request)) continue;
        line.delete(request);
        return request;
      }
      return undefined;
    },
  };
}
